//! The shipped planner in a world that is small enough to be looked at in every state.

#[cfg(test)]
mod act;
#[cfg(test)]
mod asking;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod first_issues;
#[cfg(test)]
mod good_end;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod look;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod people;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod print;
#[cfg(test)]
mod rotations;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod search;
#[cfg(test)]
mod town;
#[cfg(test)]
mod world;
