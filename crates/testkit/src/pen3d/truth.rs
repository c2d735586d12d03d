//! Ground truth of a picture: the box of each pig and its visible share.

use pigweight_core::geometry::Rect;

/// A pig with a smaller visible share is ignored: neither a miss nor a false detection.
pub const LEAST_VISIBLE_SHARE: f32 = 0.1;
/// A pig with fewer visible px is ignored as well.
pub const LEAST_VISIBLE_PX: u32 = 25;

/// The owner of a px without a pig.
pub const NOBODY: u16 = u16::MAX;

/// One pig on one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Its number in [`super::Photograph::owners`].
    pub pig: u16,
    /// The box around its visible px, in px of the picture.
    pub rect: Rect,
    /// Number of visible px.
    pub visible_px: u32,
    /// Visible px divided by the px that it would fill without occlusion.
    pub visible_share: f32,
}

impl Truth {
    /// Whether it is too occluded to be expected of a detector.
    pub fn is_hidden(&self) -> bool {
        self.visible_share < LEAST_VISIBLE_SHARE || self.visible_px < LEAST_VISIBLE_PX
    }
}

/// The visible pigs. `owners`: the number of the pig at each px; `silhouettes`: the px that each would fill without occlusion.
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
