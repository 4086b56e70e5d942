//! Every state that can be reached, those with fewer faults first. Each is held to the laws; and from each, what happens
//! when nothing goes wrong any more must end well, which costs nothing to follow: it is one of the moves anyway.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    fmt,
    time::{Duration, Instant},
};

use super::{good_end, laws, moves::moves, print::of_world, town::Town, world::World};

/// What a search has found.
pub struct Found {
    pub states: usize,
    pub depth: usize,
    /// Whether there was no state left to look at, or the bound was reached.
    pub complete: bool,
    pub took: Duration,
    /// The first broken promise.
    pub broken: Option<Story>,
}

/// How a promise was broken.
pub struct Story {
    pub what: String,
    pub steps: Vec<String>,
}

struct Node {
    parent: usize,
    /// Which move of the parent led here.
    ordinal: usize,
    depth: usize,
    /// The state that comes next when nothing goes wrong.
    fair: Option<u64>,
    /// Whether it was looked at what can come of it.
    expanded: bool,
    /// Whether this would be a good end.
    good: bool,
}

struct Search<'a> {
    town: &'a Town,
    nodes: Vec<Node>,
    index: HashMap<u64, usize>,
    /// States to be looked at, by the number of faults.
    waiting: Vec<VecDeque<(usize, World)>>,
}

/// Look at every state, or at most so many.
pub fn search(town: &Town, most: usize) -> Found {
    let begun = Instant::now();
    let mut search = Search { town, nodes: vec![], index: HashMap::new(), waiting: vec![] };
    search.waiting.resize_with(town.most_faults + 1, VecDeque::new);
    search.reach(World::new(town), 0, 0);
    let mut broken = None;
    while let Some((at, world)) = search.waiting.iter_mut().find_map(VecDeque::pop_front) {
        broken = search.expand(at, &world);
        if broken.is_some() || search.nodes.len() > most {
            break;
        }
    }
    let complete = search.waiting.iter().all(VecDeque::is_empty);
    let broken = broken.or_else(|| search.bad_end());
    let depth = search.nodes.iter().map(|node| node.depth).max().unwrap_or_default();
    Found { states: search.nodes.len(), depth, complete, took: begun.elapsed(), broken }
}

impl Search<'_> {
    /// A state was reached; true if for the first time.
    fn reach(&mut self, world: World, parent: usize, ordinal: usize) -> u64 {
        let print = of_world(&world);
        if let Entry::Vacant(vacant) = self.index.entry(print) {
            vacant.insert(self.nodes.len());
            let depth = self.nodes.get(parent).map_or(0, |node| node.depth + 1);
            let at = self.nodes.len();
            self.nodes.push(Node { parent, ordinal, depth, fair: None, expanded: false, good: false });
            self.waiting[world.faults].push_back((at, world));
        }
        print
    }

    /// Look at a state, and at what can come of it.
    fn expand(&mut self, at: usize, world: &World) -> Option<Story> {
        if let Some(what) = laws::of_a_state(world, self.town) {
            return Some(self.story(at, None, what));
        }
        self.nodes[at].expanded = true;
        self.nodes[at].good = good_end::lacks(self.town, world).is_none();
        let mut fair = None;
        for (ordinal, next) in moves(self.town, world, false).into_iter().enumerate() {
            if let Some(what) = next.world.broken.clone() {
                return Some(self.story(at, Some(ordinal), what));
            }
            let print = self.reach(next.world, at, ordinal);
            if let Some(rank) = next.rank
                && fair.is_none_or(|(before, _)| rank < before)
            {
                fair = Some((rank, print));
            }
        }
        self.nodes[at].fair = fair.map(|(_, print)| print);
        None
    }

    /// A state from which things go round for ever, or stop, without having ended well.
    fn bad_end(&self) -> Option<Story> {
        const UNSEEN: u8 = 0;
        const WELL: u8 = 2;
        let mut colour = vec![UNSEEN; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let (mut at, mut path) = (start, vec![]);
            let well = loop {
                match colour[at] {
                    UNSEEN => {}
                    WELL => break true,
                    _ => break path.iter().skip_while(|one| **one != at).any(|one: &usize| self.nodes[*one].good),
                }
                colour[at] = 1;
                path.push(at);
                match self.nodes[at].fair.map(|print| self.index[&print]) {
                    Some(next) => at = next,
                    None if !self.nodes[at].expanded => break true, // beyond the bound of this search
                    None => break self.nodes[at].good,
                }
            };
            if !well {
                return Some(self.story(start, None, "there is no good end".into()));
            }
            for one in path {
                colour[one] = WELL;
            }
        }
        None
    }

    /// How a state was reached, by going there again.
    fn story(&self, at: usize, last: Option<usize>, mut what: String) -> Story {
        let mut ordinals: Vec<usize> = last.into_iter().collect();
        let mut node = at;
        while node != 0 {
            ordinals.push(self.nodes[node].ordinal);
            node = self.nodes[node].parent;
        }
        let mut world = World::new(self.town);
        let mut steps = vec![];
        for ordinal in ordinals.into_iter().rev() {
            let Some(next) = moves(self.town, &world, true).into_iter().nth(ordinal) else { break };
            steps.push(format!("{:>4} s  {}", next.world.now, next.label));
            world = next.world;
        }
        if last.is_none() {
            what += &self.lack(world, &mut steps);
        }
        Story { what, steps }
    }

    /// What is still missing when everything goes as well as it can from here on.
    fn lack(&self, mut world: World, steps: &mut Vec<String>) -> String {
        steps.push("  and when nothing goes wrong from here on:".into());
        let mut met = HashSet::new();
        let mut lack = String::new();
        while met.insert(of_world(&world)) {
            match good_end::lacks(self.town, &world) {
                Some(what) if what != good_end::BUSY || lack.is_empty() => lack = format!("; in the end, {what}"),
                _ => {}
            }
            let next = moves(self.town, &world, true).into_iter().filter(|next| next.rank.is_some());
            match next.min_by_key(|next| next.rank) {
                Some(next) => {
                    world = next.world;
                    steps.push(format!("{:>4} s  {}", world.now, next.label));
                }
                None => break,
            }
        }
        lack
    }
}

impl fmt::Display for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.what)?;
        self.steps.iter().try_for_each(|step| writeln!(out, "  {step}"))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = if self.complete { "all" } else { "bounded" };
        write!(out, "{} states ({bound}), depth {}, {:.1} s", self.states, self.depth, self.took.as_secs_f32())
    }
}
