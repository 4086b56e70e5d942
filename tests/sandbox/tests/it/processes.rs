//! Which processes there are, as `ps` sees them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A folder for one test, which does not exist yet.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// The process IDs that a run wrote down: of each program and its holder.
pub fn of_run(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("pids")).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()));
    files.flat_map(|pids| pids.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What of these, and of whatever names the run's directory on its command line, is running.
pub fn alive(pids: &[String], dir: &Path) -> Vec<String> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,stat=,args="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let dir = dir.to_str().unwrap();
    let is_ours = |line: &&str| {
        let mut words = line.split_whitespace();
        let (pid, state) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        !state.starts_with('Z') && (pids.iter().any(|known| known == pid) || line.contains(dir))
    };
    listed.lines().filter(is_ours).map(str::to_owned).collect()
}

/// Waits until none of them is running, and says how long that took.
pub fn gone(pids: &[String], dir: &Path) -> Duration {
    let begun = Instant::now();
    loop {
        let alive = alive(pids, dir);
        if alive.is_empty() {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "still running: {alive:#?}");
        std::thread::sleep(Duration::from_millis(20)); // nobody is told of the end of somebody else's child
    }
}

/// Sends a signal.
pub fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
}
