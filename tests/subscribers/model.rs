//! What the app must say at each commit: its documents, and each of its queries, as simply as can be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::kills::random::Random;

/// The app.
pub const APP: &str = r#"
    import { collection, count, fail, max, min, procedure, query, sum, view, type Doc, type ID, type Int } from "weir";

    export interface Item { slot: Int; group: "a" | "b" | "c"; rank: Int; weight: Int }
    export const items = collection<Item>({ unique: ["slot"], index: [["group", "rank"], "rank"] });
    export interface Note { slot: Int }
    export const notes = collection<Note>({ unique: ["slot"] });

    export const ranked = query((args: { from: Int; to: Int }): Doc<Item>[] =>
      items.range("rank", { gte: args.from, lt: args.to }).orderBy("rank").all());
    export const best = query((args: { group: "a" | "b" | "c"; take: Int }): Doc<Item>[] =>
      items.where("group", args.group).orderBy("rank", "desc").take(args.take));
    export const byGroup = view.groupBy(items, (item) => item.group, {
      items: count(), weight: sum((item) => item.weight), least: min((item) => item.rank), most: max((item) => item.rank),
    });
    export const one = query((args: { slot: Int }): Doc<Item> | null => items.where("slot", args.slot).first());
    export const noted = query((): Int => notes.all().length);
    export const nothing = query((): Int => 7);
    export const heaviest = query((args: { group: "a" | "b" | "c" }): Int => {
      const found = items.where("group", args.group).all();
      if (found.length === 0) fail("EMPTY", "there are none");
      return Math.max(...found.map((item) => item.weight));
    });
    export const wide = query((): { id: ID; text: string }[] =>
      items.all().map((item) => ({ id: item.id, text: `${item.rank} `.repeat(3000) })));

    /** An item to be put into its slot, or what is there to be taken away; or the same of a note. */
    interface Change { slot: Int; note: boolean; put?: { group: "a" | "b" | "c"; rank: Int; weight: Int } | null; remove: boolean }
    export const change = procedure((args: { changes: Change[] }): (ID | null)[] =>
      args.changes.map(({ slot, note, put, remove }) => {
        if (note) {
          const there = notes.where("slot", slot).first();
          if (there && remove) notes.delete(there.id);
          if (!there && !remove) notes.insert({ slot });
          return null;
        }
        const there = items.where("slot", slot).first();
        if (!put) {
          if (there) items.delete(there.id);
          return null;
        }
        return (there ? items.replace(there.id, { slot, ...put }) : items.insert({ slot, ...put })).id;
      }));
    export const clear = procedure((): Int => {
      const all = items.all(), others = notes.all();
      for (const item of all) items.delete(item.id);
      for (const note of others) notes.delete(note.id);
      return all.length + others.length;
    });
"#;

/// So few that changes meet.
const SLOTS: u64 = 12;
const RANKS: u64 = 10;
const GROUPS: [&str; 3] = ["a", "b", "c"];

fn group(random: &mut Random) -> &'static str {
    GROUPS[random.below(3) as usize]
}

/// One change of one document.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Whether there is a note in the slot.
    Note(u64, bool),
    /// What is in the slot.
    Item(u64, Option<Item>),
}

/// What an item has beside its id and its slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    group: &'static str,
    rank: u64,
    weight: u64,
}

impl Change {
    /// Draws one.
    pub fn draw(random: &mut Random) -> Self {
        let slot = random.below(SLOTS);
        match random.below(10) {
            0 => Self::Note(slot, random.below(2) == 0),
            1..4 => Self::Item(slot, None),
            _ => {
                let group = group(random);
                Self::Item(slot, Some(Item { group, rank: random.below(RANKS), weight: random.below(100) }))
            }
        }
    }

    /// As an argument of `change`.
    pub fn argument(&self) -> Value {
        match self {
            Self::Note(slot, there) => json!({ "slot": slot, "note": true, "remove": !there }),
            Self::Item(slot, None) => json!({ "slot": slot, "note": false, "remove": true }),
            Self::Item(slot, Some(Item { group, rank, weight })) => {
                let put = json!({ "group": group, "rank": rank, "weight": weight });
                json!({ "slot": slot, "note": false, "remove": false, "put": put })
            }
        }
    }
}

/// All documents at one commit.
#[derive(Debug, Clone, Default)]
pub struct State {
    items: BTreeMap<u64, (String, Item)>,
    notes: BTreeSet<u64>,
}

impl State {
    /// Takes a change in. `id` is what the answer to it says.
    fn apply(&mut self, change: &Change, id: &Value) {
        match change {
            Change::Note(slot, true) => {
                self.notes.insert(*slot);
            }
            Change::Note(slot, false) => {
                self.notes.remove(slot);
            }
            Change::Item(slot, None) => {
                self.items.remove(slot);
            }
            Change::Item(slot, Some(item)) => {
                self.items.insert(*slot, (id.as_str().expect("an id").to_owned(), item.clone()));
            }
        }
    }

    /// Items with their slots, in the order of the keys.
    fn sorted<K: Ord>(
        &self,
        wanted: impl Fn(&Item) -> bool,
        key: impl Fn(&str, &Item) -> K,
    ) -> Vec<(u64, &str, &Item)> {
        let mut found: Vec<_> = self.items.iter().map(|(slot, (id, item))| (*slot, id.as_str(), item)).collect();
        found.retain(|(_, _, item)| wanted(item));
        found.sort_by_key(|(_, id, item)| key(id, item));
        found
    }
}

fn document((slot, id, item): &(u64, &str, &Item)) -> Value {
    json!({ "id": id, "slot": slot, "group": item.group, "rank": item.rank, "weight": item.weight })
}

/// A commit, what it changed, and what the procedure answered.
pub type Commit = (u64, Vec<Change>, Vec<Value>);

/// The states after each commit.
pub struct History {
    states: BTreeMap<u64, State>,
}

impl History {
    /// Begins with a commit after which there is nothing. Commits that wrote nothing have the number of the one that they
    /// read, and change nothing there in whatever order.
    pub fn of(empty: u64, mut commits: Vec<Commit>) -> Self {
        commits.sort_by_key(|(commit, ..)| *commit);
        let mut states = BTreeMap::from([(empty, State::default())]);
        let mut state = State::default();
        for (commit, changes, ids) in commits {
            assert!(commit >= empty, "commit {commit} comes before {empty}");
            changes.iter().zip(&ids).for_each(|(change, id)| state.apply(change, id));
            states.insert(commit, state.clone());
        }
        Self { states }
    }

    /// What a view gives from each commit on; `None` where it fails.
    pub fn values(&self, view: &View) -> Vec<(u64, Option<Value>)> {
        self.states.iter().map(|(commit, state)| (*commit, view.data(state))).collect()
    }

    /// What there is.
    pub fn newest(&self) -> &State {
        self.states.values().next_back().unwrap()
    }
}

/// What is subscribed to.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// A range of an index.
    Ranked(u64, u64),
    /// The end of a range of an index, as long as it is wanted.
    Best(&'static str, u64),
    /// A view of groups.
    ByGroup,
    /// One document, or that there is none.
    One(u64),
    /// Of another collection.
    Noted,
    /// Looks at nothing.
    Nothing,
    /// Fails where there are none.
    Heaviest(&'static str),
    /// So much that it soon fills the buffers of a socket.
    Wide,
}

impl View {
    /// Draws one.
    pub fn draw(random: &mut Random) -> Self {
        match random.below(12) {
            0..3 => {
                let from = random.below(RANKS);
                Self::Ranked(from, from + 1 + random.below(RANKS))
            }
            3..5 => Self::Best(group(random), 1 + random.below(4)),
            5..7 => Self::ByGroup,
            7 => Self::One(random.below(SLOTS)),
            8 => Self::Noted,
            9 => Self::Nothing,
            10 => Self::Heaviest(group(random)),
            _ => Self::Wide,
        }
    }

    /// The document of a subscription to it.
    pub fn query(&self) -> String {
        let item = "{ id slot group rank weight }";
        let field = match self {
            Self::Ranked(from, to) => format!("ranked(from: {from}, to: {to}) {item}"),
            Self::Best(group, take) => format!("best(group: {group}, take: {take}) {item}"),
            Self::ByGroup => "byGroup { key items weight least most }".to_owned(),
            Self::One(slot) => format!("one(slot: {slot}) {item}"),
            Self::Noted => "noted".to_owned(),
            Self::Nothing => "nothing".to_owned(),
            Self::Heaviest(group) => format!("heaviest(group: {group})"),
            Self::Wide => "wide { id text }".to_owned(),
        };
        format!("subscription {{ {field} }}")
    }

    /// The `data` of it in a state; `None` where it fails.
    pub fn data(&self, state: &State) -> Option<Value> {
        let documents = |found: Vec<_>| found.iter().map(document).collect::<Value>();
        Some(match self {
            Self::Ranked(from, to) => {
                let found =
                    state.sorted(|item| (*from..*to).contains(&item.rank), |id, item| (item.rank, id.to_owned()));
                json!({ "ranked": documents(found) })
            }
            Self::Best(group, take) => {
                let mut found = state.sorted(|item| item.group == *group, |id, item| (item.rank, id.to_owned()));
                found.reverse();
                found.truncate(*take as usize);
                json!({ "best": documents(found) })
            }
            Self::ByGroup => {
                let rows = GROUPS.into_iter().filter_map(|group| {
                    let found = state.sorted(|item| item.group == group, |_, item| item.rank);
                    let rank = |found: Option<&(u64, &str, &Item)>| found.map(|(_, _, item)| item.rank);
                    let weight: u64 = found.iter().map(|(_, _, item)| item.weight).sum();
                    let (least, most) = (rank(found.first())?, rank(found.last())?);
                    Some(json!({ "key": group, "items": found.len(), "weight": weight, "least": least, "most": most }))
                });
                json!({ "byGroup": rows.collect::<Value>() })
            }
            Self::One(slot) => {
                json!({ "one": state.items.get(slot).map(|(id, item)| document(&(*slot, id, item))) })
            }
            Self::Noted => json!({ "noted": state.notes.len() }),
            Self::Nothing => json!({ "nothing": 7 }),
            Self::Heaviest(group) => {
                let found = state.sorted(|item| item.group == *group, |_, item| item.weight);
                json!({ "heaviest": found.last()?.2.weight })
            }
            Self::Wide => {
                let found = state.sorted(|_| true, |id, _| id.to_owned());
                let row = |(_, id, item): &(u64, &str, &Item)| json!({ "id": id, "text": format!("{} ", item.rank).repeat(3000) });
                json!({ "wide": found.iter().map(row).collect::<Value>() })
            }
        })
    }
}
