//! The sandbox shares no code with the product: a misreading of a service must not be made twice.

use libtest_mimic::Failed;
use tokio::process::Command;

use crate::town::{Town, insist};

pub async fn product_and_sandbox_share_no_code(_: Town) -> Result<(), Failed> {
    for (package, other, kinds) in
        [("keywright", "keywright-sandbox", "normal,build"), ("keywright-sandbox", "keywright", "normal,build,dev")]
    {
        let args = ["tree", "--offline", "--prefix", "none", "--package", package, "--edges", kinds, "--format", "{p}"];
        let output = Command::new(env!("CARGO")).args(args).output().await?;
        let tree = String::from_utf8(output.stdout)?;
        insist(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
        insist(tree.lines().any(|line| line.starts_with(&format!("{package} v"))), "cargo tree shows the package")?;
        let depends = tree.lines().any(|line| line.starts_with(&format!("{other} v")));
        insist(!depends, format!("{package} depends on {other}:\n{tree}"))?;
    }
    Ok(())
}
