//! Static parts: floor, walls, feeder and drinker.

use super::canvas::{Canvas, Color};
use super::noise::{clouds, grain};
use super::{Floor, Place};
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, floor: Floor, place: &Place, random: &mut Random) {
    let seed = random.bits();
    // Sizes are for pictures 640 px wide.
    let scale = canvas.width as f32 / 640.0;
    for y in 0..canvas.height {
        for x in 0..canvas.width {
            let color =
                ground(floor, seed, x as f32 / scale, y as f32 / scale, grain(seed, x as i32, y as i32));
            let place = canvas.place(x, y);
            canvas.cover(place, color, 1.0);
        }
    }
    if floor == Floor::Straw {
        for _ in 0..1400 {
            let (x, y) = (random.unit() * canvas.width as f32, random.unit() * canvas.height as f32);
            let (sin, cos) = random.between(0.0, std::f32::consts::PI).sin_cos();
            let length = random.between(6.0, 22.0) * scale;
            let shade = random.between(0.7, 1.15);
            for step in 0..(length as usize) {
                let (x, y) = (x + cos * step as f32, y + sin * step as f32);
                if x >= 0.0 && y >= 0.0 && (x as usize) < canvas.width && (y as usize) < canvas.height {
                    let place = canvas.place(x as usize, y as usize);
                    canvas.cover(place, [205.0 * shade, 178.0 * shade, 112.0 * shade], 0.6);
                }
            }
        }
    }
    furnish(canvas, place, scale);
}

fn ground(floor: Floor, seed: u64, x: f32, y: f32, grain: f32) -> Color {
    let stains = clouds(seed, x / 90.0, y / 90.0) * 0.6 + clouds(seed ^ 1, x / 23.0, y / 23.0) * 0.4;
    let dirt = (clouds(seed ^ 2, x / 140.0, y / 70.0) - 0.55).max(0.0) * 1.2;
    let shade = 0.82 + 0.24 * stains + 0.07 * (grain - 0.5);
    let plain = |[red, green, blue]: Color| {
        [red * (shade - 0.30 * dirt), green * (shade - 0.42 * dirt), blue * (shade - 0.55 * dirt)]
    };
    match floor {
        Floor::Concrete => {
            let line = (clouds(seed ^ 3, x / 60.0, y / 60.0) - 0.5).abs() < 0.005;
            let crack = line && clouds(seed ^ 4, x / 80.0, y / 80.0) > 0.68;
            plain(if crack { [104.0, 101.0, 96.0] } else { [146.0, 143.0, 136.0] })
        }
        Floor::Slats => {
            let (across, along) = (y.rem_euclid(20.0), x.rem_euclid(160.0));
            let gap = if along < 9.0 { 0.0 } else { 1.0 - ((across - 10.0).abs() / 2.4).powi(4).min(1.0) };
            plain([139.0 - 92.0 * gap, 138.0 - 93.0 * gap, 132.0 - 90.0 * gap])
        }
        Floor::Straw => plain([172.0, 148.0, 98.0]),
    }
}

fn furnish(canvas: &mut Canvas, place: &Place, scale: f32) {
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let wall: Color = [96.0, 104.0, 112.0];
    let edge: Color = [156.0, 163.0, 168.0];
    let rail = 3.0 * scale;
    let &Place { left, top, right, bottom, feeder, .. } = place;
    // A wall seen from above, its upper edge caught by the light.
    for (corners, inner) in [
        ([0.0, 0.0, width, top], [0.0, top - rail, width, top]),
        ([0.0, bottom, width, height], [0.0, bottom, width, bottom + rail]),
        ([0.0, 0.0, left.max(0.0), height], [left - rail, top, left, bottom]),
        ([right, 0.0, width, height], [right, top, right + rail, bottom]),
    ] {
        if corners[2] > corners[0] && corners[3] > corners[1] {
            canvas.fill(corners, wall);
            canvas.fill(inner, edge);
        }
    }
    let Some((x, y)) = feeder else { return };
    // A trough at the upper wall, and a drinking bowl at the right one.
    let (half, depth) = (70.0 * scale, 20.0 * scale);
    canvas.fill([x - half, y, x + half, y + depth], [88.0, 92.0, 96.0]);
    canvas.fill([x - half + rail, y + rail, x + half - rail, y + depth - rail], [124.0, 92.0, 54.0]);
    for bay in 1..4 {
        let bar = x - half + bay as f32 * half / 2.0;
        canvas.fill([bar - rail / 2.0, y, bar + rail / 2.0, y + depth], [150.0, 154.0, 158.0]);
    }
    let bowl = (right - 9.0 * scale, top + (bottom - top) * 0.62);
    canvas.disc(bowl, 9.0 * scale, [168.0, 172.0, 176.0]);
    canvas.disc(bowl, 6.5 * scale, [70.0, 86.0, 98.0]);
    canvas.disc((bowl.0 - 2.0 * scale, bowl.1 - 2.0 * scale), 1.8 * scale, [214.0, 222.0, 226.0]);
}
