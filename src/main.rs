//! The operator's command.
fn main() -> anyhow::Result<()> {
    std::fs::create_dir_all("crds")?;
    keywright::cli::crds::write(std::path::Path::new("crds"))?;
    Ok(())
}
