//! Programs are built once, whole or not at all, and a Go that cannot do it is named. A script stands in for Go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::processes;

/// Says that it is of this version, notes each build, and makes empty files, unless told to take its time.
const GO: &str = r#"#!/bin/sh
[ "$1" = env ] && { echo VERSION; exit; }
[ "$1" = list ] && { echo HERE/module; exit; }
echo "$$" >> HERE/builds
[ -e HERE/slow ] && sleep 60
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
[ -d "$out" ] || { touch "$out"; exit; }
for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do touch "$out/$name"; done
"#;

/// A place with a Go of its own, and nothing built yet.
struct Workshop(PathBuf);

impl Workshop {
    fn new(name: &str, version: &str) -> Self {
        let folder = processes::folder(name);
        fs::create_dir_all(folder.join("bin")).unwrap();
        for definitions in ["manifests/crds", "deploy/crds"] {
            fs::create_dir_all(folder.join("module").join(definitions)).unwrap();
            fs::write(folder.join("module").join(definitions).join("one.yaml"), "one").unwrap();
        }
        let go = folder.join("bin/go");
        fs::write(&go, GO.replace("VERSION", version).replace("HERE", folder.to_str().unwrap())).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// `keywright-sandbox build`, with our Go before all others.
    fn build(&self) -> Child {
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        self.build_with(Path::new(&path))
    }

    fn build_with(&self, path: &Path) -> Child {
        Command::new(env!("CARGO_BIN_EXE_keywright-sandbox"))
            .arg("build")
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", &self.0)
            .env_remove("KUBEBUILDER_ASSETS")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.0.join("builds")).map_or(0, |builds| builds.lines().count())
    }

    /// Folders of programs that are complete.
    fn built(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("sandbox/programs")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.join("etcd").exists() && path.join("kubectl").exists()).collect()
    }

    /// Folders of controllers that are complete.
    fn with_definitions(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join("sandbox/programs")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.join("controller").exists() && path.join("crds/one.yaml").exists()).collect()
    }
}

async fn ended(child: Child) -> (bool, String) {
    let output = child.wait_with_output().await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn two_that_want_the_programs_build_them_once() {
    let workshop = Workshop::new("built-once", "go1.99.0");
    let (one, two) = tokio::join!(ended(workshop.build()), ended(workshop.build()));
    assert!(one.0 && two.0, "{one:?} {two:?}");
    assert_eq!(
        (workshop.builds(), workshop.built().len()),
        (5, 1),
        "of Kubernetes, of etcd, of Helm, of two controllers"
    );
    let again = ended(workshop.build()).await;
    assert_eq!((again, workshop.builds()), ((true, String::new()), 5), "nothing is said when nothing is done");
    assert_eq!(workshop.with_definitions().len(), 2, "those of a controller are kept beside it");
}

#[tokio::test]
async fn an_interrupted_build_leaves_nothing_half_and_nothing_running() {
    let workshop = Workshop::new("build-interrupted", "go1.99.0");
    fs::write(workshop.0.join("slow"), "").unwrap();
    let mut first = workshop.build();
    while workshop.builds() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let go = fs::read_to_string(workshop.0.join("builds")).unwrap().trim().to_owned();
    first.kill().await.unwrap();
    processes::gone(&[go], &workshop.0.join("bin"));
    assert!(workshop.built().is_empty());

    fs::remove_file(workshop.0.join("slow")).unwrap();
    let (success, said) = ended(workshop.build()).await;
    assert!(success && said.contains("building Kubernetes v1."), "{said}");
    assert_eq!(workshop.built().len(), 1);
}

#[tokio::test]
async fn a_go_that_is_missing_too_old_or_fails_is_named() {
    let workshop = Workshop::new("no-go", "go1.20.3");
    let (success, said) = ended(workshop.build()).await;
    assert!(!success && said.contains("is go1.20.3 and cannot") && said.contains("Install Go 1."), "{said}");

    let (success, said) = ended(workshop.build_with(Path::new("/nowhere"))).await;
    assert!(!success && said.contains("could not run go") && said.contains("https://go.dev/dl/"), "{said}");

    let broken = Workshop::new("broken-go", "go1.99.0");
    let go = fs::read_to_string(broken.0.join("bin/go")).unwrap();
    let go = go.replace("while", "echo 'cannot find module providing package'; exit 1\nwhile");
    fs::write(broken.0.join("bin/go"), go).unwrap();
    let (success, said) = ended(broken.build()).await;
    assert!(!success && said.contains("cannot find module providing package"), "{said}");
}
