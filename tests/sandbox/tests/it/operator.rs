//! The product as a process: a shell script stands in for it here.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use keywright_sandbox::Operator;

use crate::processes;

const SOON: Duration = Duration::from_secs(5);

fn script(name: &str, text: &str) -> Operator {
    let folder = processes::folder(name);
    std::fs::create_dir_all(&folder).unwrap();
    Operator::start(Path::new("/bin/sh"), &folder.join("kubeconfig"), ["-c", text], [("COLOUR", "green")]).unwrap()
}

#[tokio::test]
async fn its_lines_are_heard_and_its_environment_is_bare() {
    let operator = script(
        "operator-lines",
        "echo one; echo two >&2; env | sort; trap 'echo bye; exit 4' TERM; echo up; sleep 60 & wait",
    );
    operator.wait_for_line(|line| line == "up", SOON).await.unwrap();
    let lines = operator.lines();
    assert_eq!(lines[..2], ["one", "two"]);
    assert!(lines.contains(&"COLOUR=green".to_owned()));
    assert!(lines.iter().any(|line| line.starts_with("KUBECONFIG=") && line.ends_with("kubeconfig")));
    assert!(!lines.iter().any(|line| line.starts_with("CARGO")), "{lines:?}");

    operator.terminate();
    assert_eq!(operator.wait_for_line(|line| line == "bye", SOON).await.unwrap(), "bye");
    assert_eq!(operator.exited(SOON).await.unwrap().code(), Some(4));
    assert!(std::fs::read_to_string(operator.log()).unwrap().ends_with("up\nbye\n"));
}

#[tokio::test]
async fn it_can_be_killed_and_its_status_says_so() {
    let operator = script("operator-killed", "trap '' TERM; echo up; while :; do sleep 1; done");
    operator.wait_for_line(|line| line == "up", SOON).await.unwrap();
    operator.terminate();
    assert!(operator.exited(Duration::from_millis(300)).await.unwrap_err().to_string().contains("has not ended"));
    assert_eq!(operator.kill().await.unwrap().signal(), Some(9));
}

#[tokio::test]
async fn waiting_for_a_line_ends_with_the_operator() {
    let operator = script("operator-ended", "echo 'no such flag'; exit 2");
    let error = operator.wait_for_line(|line| line == "up", Duration::from_mins(1)).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 2") && error.ends_with("no such flag"), "{error}");
}

#[tokio::test]
async fn a_stubborn_one_does_not_outlive_its_handle() {
    let operator = script("operator-dropped", "trap '' TERM; echo $$; while :; do sleep 1; done");
    let pid = operator.wait_for_line(|line| line.parse::<u32>().is_ok(), SOON).await.unwrap();
    let folder = processes::folder("operator-dropped");
    let _switch = operator.kill_switch(); // a fault that may still kill it does not keep it
    drop(operator);
    let took = tokio::task::spawn_blocking(move || processes::gone(&[pid], &folder)).await.unwrap();
    println!("gone after {took:?}");
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it() {
    let operator = script("operator-children", "sleep 300 & echo $!; exit 0");
    let pid = operator.wait_for_line(|line| line.parse::<u32>().is_ok(), SOON).await.unwrap();
    operator.exited(SOON).await.unwrap();
    let folder = processes::folder("operator-children");
    tokio::task::spawn_blocking(move || processes::gone(&[pid], &folder)).await.unwrap();
}

#[tokio::test]
async fn a_missing_binary_is_named() {
    let error = Operator::start(Path::new("/no/such/keywright"), Path::new("/tmp/kubeconfig"), [""; 0], [("", ""); 0]);
    assert!(error.err().unwrap().to_string().contains("/no/such/keywright"));
}
