//! What is true of a picture: where each pig is, and how much of it is seen.

use pigweight_core::geometry::Rect;

/// A pig of which less is visible is neither asked for nor wrong to find.
pub const LEAST_VISIBLE_SHARE: f32 = 0.1;
/// Nor one of which fewer px are.
pub const LEAST_VISIBLE_PX: u32 = 25;

/// No pig is seen at a px.
pub const NOBODY: u16 = u16::MAX;

/// One pig on one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Which one: the number in [`super::Photograph::owners`].
    pub pig: u16,
    /// Around its px that are seen, in px of the picture.
    pub rect: Rect,
    /// How many px of it are seen.
    pub visible_px: u32,
    /// Of the px in the picture that it would fill if nothing stood before it.
    pub visible_share: f32,
}

impl Truth {
    /// Whether too little of it is seen to ask for.
    pub fn is_hidden(&self) -> bool {
        self.visible_share < LEAST_VISIBLE_SHARE || self.visible_px < LEAST_VISIBLE_PX
    }
}

/// The pigs that are seen: `owners` has the number of the pig at each px, `silhouettes` how many px each would fill.
pub(super) fn of_picture(owners: &[u16], width: usize, silhouettes: &[u32]) -> Vec<Truth> {
    let mut bounds = vec![(usize::MAX, usize::MAX, 0, 0, 0_u32); silhouettes.len()];
    for (place, &owner) in owners.iter().enumerate() {
        if let Some(bound) = bounds.get_mut(usize::from(owner)) {
            let (x, y) = (place % width, place / width);
            *bound = (bound.0.min(x), bound.1.min(y), bound.2.max(x + 1), bound.3.max(y + 1), bound.4 + 1);
        }
    }
    let seen = bounds.iter().zip(silhouettes).enumerate().filter(|(_, (bound, _))| bound.4 > 0);
    seen.map(|(pig, (&(left, top, right, bottom, visible_px), &silhouette))| Truth {
        pig: pig as u16,
        rect: Rect::new(left as f32, top as f32, (right - left) as f32, (bottom - top) as f32),
        visible_px,
        visible_share: visible_px as f32 / silhouette.max(visible_px) as f32,
    })
    .collect()
}
