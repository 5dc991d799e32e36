//! The tree of messages, without their content. Every step is proportional to the distance walked, not to the tree.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{MessageId, UserId};

/// The messages of a conversation and how they follow each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tree {
    nodes: HashMap<MessageId, Node>,
}

/// A message without its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) parent: Option<MessageId>,
    /// Who wrote it; none for a reply.
    pub(super) author: Option<UserId>,
    depth: u32,
    newest_child: Option<MessageId>,
}

impl Tree {
    pub(super) fn get(&self, id: MessageId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn insert(&mut self, id: MessageId, parent: Option<MessageId>, author: Option<UserId>) {
        let depth = parent.and_then(|parent| self.nodes.get(&parent)).map_or(0, |parent| parent.depth + 1);
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(&parent)) {
            parent.newest_child = Some(id);
        }
        self.nodes.insert(id, Node { parent, author, depth, newest_child: None });
    }

    /// The last message of the branch that `id` lies on, following the newest child at each step.
    pub(super) fn newest_leaf(&self, id: MessageId) -> MessageId {
        let mut leaf = id;
        while let Some(child) = self.nodes.get(&leaf).and_then(|node| node.newest_child) {
            leaf = child;
        }
        leaf
    }

    /// Whether `ancestor` is `id` itself or lies on the path from the root to it.
    pub(super) fn is_on_path(&self, ancestor: MessageId, id: MessageId) -> bool {
        let Some(stop) = self.nodes.get(&ancestor).map(|node| node.depth) else { return false };
        let mut at = id;
        while let Some(node) = self.nodes.get(&at) {
            if at == ancestor {
                return true;
            }
            match node.parent {
                Some(parent) if node.depth > stop => at = parent,
                _ => return false,
            }
        }
        false
    }
}
