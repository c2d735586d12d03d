use super::*;

const SIZE: (u32, u32) = (192, 108);

fn pen(seed: u64, kind: Kind) -> Pen {
    Pen::new(seed, kind, SIZE.0, SIZE.1)
}

#[test]
fn the_same_seed_gives_the_same_picture_and_another_one_another() {
    let photograph = pen(3, Kind::Crowd).photograph();
    assert_eq!(photograph, pen(3, Kind::Crowd).photograph());
    assert_ne!(photograph.pixels, pen(4, Kind::Crowd).photograph().pixels);
    assert_eq!(photograph.pixels.len(), 3 * (SIZE.0 * SIZE.1) as usize);
}

#[test]
fn boxes_are_the_extent_of_visible_pixels() {
    for seed in 0..4 {
        let photograph = pen(seed, Kind::Crowd).photograph();
        for truth in &photograph.truths {
            let places = photograph.owners.iter().enumerate().filter(|(_, owner)| **owner == truth.pig);
            let (xs, ys): (Vec<_>, Vec<_>) =
                places.map(|(place, _)| (place % photograph.width, place / photograph.width)).unzip();
            assert_eq!(xs.len(), truth.visible_px as usize);
            let range = |values: &[usize]| {
                let (low, high) = (values.iter().min().copied(), values.iter().max().copied());
                (low.unwrap_or(0) as f32, high.map_or(0, |high| high + 1) as f32)
            };
            let ((left, right), (top, bottom)) = (range(&xs), range(&ys));
            assert_eq!((truth.rect.x, truth.rect.y), (left, top));
            assert_eq!((truth.rect.x + truth.rect.width, truth.rect.y + truth.rect.height), (right, bottom));
        }
        let mut owners: Vec<u16> =
            photograph.owners.iter().copied().filter(|owner| *owner != NOBODY).collect();
        owners.sort_unstable();
        owners.dedup();
        assert_eq!(owners, photograph.truths.iter().map(|truth| truth.pig).collect::<Vec<_>>());
    }
}

#[test]
fn scenes_without_pigs_have_no_boxes() {
    for seed in 0..6 {
        assert_eq!(pen(seed, Kind::Empty).photograph().truths, []);
    }
}

#[test]
fn the_visible_share_is_relative_to_the_unoccluded_pig() {
    let mut compared = 0;
    for seed in 0..6 {
        let truths = pen(seed, Kind::Crowd).photograph().truths;
        for truth in truths.iter().filter(|truth| (0.2..0.8).contains(&truth.visible_share)).take(3) {
            let mut alone = pen(seed, Kind::Crowd);
            alone.mask = None;
            alone.scene.walls.clear();
            alone.scene.bodies.retain(|body| body.pig == Some(truth.pig));
            let whole = alone.photograph().truths[0].visible_px;
            let share = truth.visible_px as f32 / whole as f32;
            assert!((share - truth.visible_share).abs() < 1e-3, "{share} for {}", truth.visible_share);
            compared += 1;
        }
    }
    assert!(compared > 5, "{compared}");
}

#[test]
fn crowds_are_crowded_and_some_pigs_are_all_but_hidden() {
    let truths: Vec<Truth> = (0..8).flat_map(|seed| pen(seed, Kind::Crowd).photograph().truths).collect();
    assert!(truths.len() > 8 * 12, "{}", truths.len());
    assert!(truths.iter().any(Truth::is_hidden));
    assert!(truths.iter().filter(|truth| truth.visible_share < 0.6).count() > 10);
}
