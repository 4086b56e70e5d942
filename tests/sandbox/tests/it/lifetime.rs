//! Nothing is left running, however its owner ends.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::processes;

/// `keywright-sandbox up`, and what it says.
struct Up {
    child: Child,
    said: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Up {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keywright-sandbox"))
            .arg("up")
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    async fn once_up(mut self) -> Self {
        while let Some(line) = self.said.next_line().await.unwrap() {
            if line.contains("Ctrl-C ends it") {
                return self;
            }
        }
        panic!("it ended without having been up");
    }

    async fn ends_by(&mut self, signal: &str) -> ExitStatus {
        processes::signal(self.child.id().unwrap(), signal);
        tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn ctrl_c_and_sigterm_leave_neither_processes_nor_files() {
    for signal in ["INT", "TERM"] {
        let dir = processes::folder(&format!("ended-by-{signal}"));
        let mut up = Up::start(&dir).once_up().await;
        let pids = processes::of_run(&dir);
        assert_eq!(pids.len(), 8, "four programs and their holders");
        assert!(processes::alive(&pids, &dir).len() > pids.len(), "and the command itself");

        assert!(up.ends_by(signal).await.success());
        assert_eq!(processes::alive(&pids, &dir), [""; 0]);
        assert!(!dir.exists());
    }
}

#[tokio::test]
async fn a_killed_parent_leaves_no_processes() {
    let dir = processes::folder("killed");
    let mut up = Up::start(&dir).once_up().await;
    let pids = processes::of_run(&dir);

    assert!(!up.ends_by("KILL").await.success());
    println!("gone after {:?}", processes::gone(&pids, &dir));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_parent_killed_while_it_starts_leaves_no_processes() {
    let dir = processes::folder("killed-early");
    let mut up = Up::start(&dir);
    while !dir.join("pids/kube-apiserver").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pids = processes::of_run(&dir);

    assert!(!up.ends_by("KILL").await.success());
    println!("gone after {:?}", processes::gone(&pids, &dir));
    std::fs::remove_dir_all(&dir).unwrap();
}
