//! Ray marching of the scene, tile by tile: the light of each px and the pig it belongs to.

use super::Scene;
use super::light::Lamp;
use super::noise::{fractal, smoothstep};
use super::shape::{self, Part};
use super::truth::NOBODY;
use super::vector::{UP, Vec3, vec3};

/// Side of a tile in px. Candidates for intersection are found once for all rays of a tile.
const TILE: usize = 8;
const MARCH_STEPS: usize = 56;
/// Positions of the subsamples of a px at an edge.
const EDGE_SAMPLES: [(f32, f32); 2] = [(0.15, 0.25), (0.85, 0.75)];

/// The light and owner of each px.
pub(super) struct Exposure {
    pub light: Vec<Vec3>,
    /// The pig at each px.
    pub owners: Vec<u16>,
    /// Number of px that each pig would fill without occlusion.
    pub silhouettes: Vec<u32>,
}

/// A body that rays of a tile may hit.
struct Candidate {
    body: usize,
    center: Vec3,
    radius_m: f32,
    parts: Vec<Part>,
}

/// What a ray hit.
struct Hit {
    distance_m: f32,
    light: Vec3,
    /// A number that changes at the edge between two surfaces.
    label: u32,
    owner: u16,
}

pub(super) fn expose(scene: &Scene) -> Exposure {
    let (width, height) = (scene.width, scene.height);
    let mut exposure = Exposure {
        light: vec![Vec3::default(); width * height],
        owners: vec![NOBODY; width * height],
        silhouettes: vec![0; scene.pig_count],
    };
    let mut labels = vec![(0_u32, 0.0_f32); width * height];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            let candidates = candidates(scene, left, top);
            let mut met = Vec::new();
            for y in top..(top + TILE).min(height) {
                for x in left..(left + TILE).min(width) {
                    met.clear();
                    let direction = scene.camera.ray(x as f32 + 0.5, y as f32 + 0.5);
                    let hit = trace(scene, &candidates, direction, &mut met);
                    for &pig in &met {
                        exposure.silhouettes[usize::from(pig)] += 1;
                    }
                    let place = y * width + x;
                    exposure.light[place] = hit.light;
                    exposure.owners[place] = hit.owner;
                    labels[place] = (hit.label, hit.distance_m);
                }
            }
            smooth_edges(scene, &candidates, &labels, (left, top), &mut exposure.light);
        }
    }
    exposure
}

/// Antialiasing: at an edge between surfaces, the light of a px is the mean of several rays.
fn smooth_edges(
    scene: &Scene,
    candidates: &[Candidate],
    labels: &[(u32, f32)],
    (left, top): (usize, usize),
    light: &mut [Vec3],
) {
    let (width, height) = (scene.width, scene.height);
    let (right, bottom) = ((left + TILE).min(width), (top + TILE).min(height));
    for y in top..bottom {
        for x in left..right {
            let place = y * width + x;
            let (label, distance_m) = labels[place];
            let differs = |other: usize| {
                labels[other].0 != label || (labels[other].1 - distance_m).abs() > 0.06 * distance_m
            };
            // Tiles to the right and below are not traced yet.
            let is_edge = (x > 0 && differs(place - 1))
                || (y > 0 && differs(place - width))
                || (x + 1 < right && differs(place + 1))
                || (y + 1 < bottom && differs(place + width));
            if is_edge {
                let more = EDGE_SAMPLES.map(|(right, down)| {
                    let direction = scene.camera.ray(x as f32 + right, y as f32 + down);
                    trace(scene, candidates, direction, &mut Vec::new()).light
                });
                light[place] = more.into_iter().fold(light[place], |sum, light| sum + light)
                    * (1.0 / (1 + EDGE_SAMPLES.len()) as f32);
            }
        }
    }
}

/// The bodies and parts that rays of a tile may hit: those that reach into its cone.
fn candidates(scene: &Scene, left: usize, top: usize) -> Vec<Candidate> {
    let (left, top, side) = (left as f32, top as f32, TILE as f32);
    let axis = scene.camera.ray(left + side / 2.0, top + side / 2.0);
    let corners = [(0.0, 0.0), (side, 0.0), (0.0, side), (side, side)];
    let least = corners
        .iter()
        .map(|&(right, down)| axis.dot(scene.camera.ray(left + right, top + down)))
        .fold(1.0, f32::min);
    let opening = least.min(1.0).acos() + 0.002;
    let is_in_cone = |center: Vec3, radius_m: f32| {
        let offset = center - scene.camera.position;
        let distance = offset.length();
        distance < radius_m
            || (offset.dot(axis) / distance).clamp(-1.0, 1.0).acos() < opening + (radius_m / distance).asin()
    };
    let near = scene.bodies.iter().enumerate().filter(|(_, body)| is_in_cone(body.center, body.radius_m));
    near.filter_map(|(number, body)| {
        let parts: Vec<Part> =
            body.parts.iter().filter(|part| is_in_cone(part.center, part.reach_m())).copied().collect();
        let candidate = Candidate { body: number, center: body.center, radius_m: body.radius_m, parts };
        (!candidate.parts.is_empty()).then_some(candidate)
    })
    .collect()
}

/// Traces a ray. `met` receives every pig on its way, also those behind others.
fn trace(scene: &Scene, candidates: &[Candidate], direction: Vec3, met: &mut Vec<u16>) -> Hit {
    let from = scene.camera.position;
    let floor_m = if direction.z < -1e-4 { -from.z / direction.z } else { f32::MAX };
    let mut nearest: Option<(f32, &Candidate)> = None;
    for candidate in candidates {
        let Some(distance_m) = march(scene, candidate, direction) else { continue };
        // A part below the floor would not be visible without occlusion either.
        if distance_m > floor_m {
            continue;
        }
        if let Some(pig) = scene.bodies[candidate.body].pig {
            met.push(pig);
        }
        if nearest.is_none_or(|(other, _)| distance_m < other) {
            nearest = Some((distance_m, candidate));
        }
    }
    let mut limit = nearest.map_or(f32::MAX, |(distance_m, _)| distance_m);
    let mut wall = None;
    for (number, candidate) in scene.walls.iter().enumerate() {
        if let Some(hit) = candidate.hit(from, direction).filter(|hit| hit.distance_m < limit) {
            limit = hit.distance_m;
            wall = Some((number, hit));
        }
    }
    let (hall_m, hall, is_window) = scene.hall.hit(from, direction);
    let hazy = |light: Vec3, distance_m: f32| {
        let (density, color) = scene.lighting.haze;
        light.lerp(color, 1.0 - (-density * distance_m).exp())
    };
    if floor_m.min(hall_m) < limit {
        let distance_m = floor_m.min(hall_m);
        let at = from + direction * distance_m;
        if hall_m < floor_m {
            let light = if is_window { hall } else { hall * (scene.lighting.ambient + Vec3::splat(0.4)) };
            return Hit { distance_m, light: hazy(light, distance_m), label: 1, owner: NOBODY };
        }
        let is_inside = at.x > 0.0 && at.y > 0.0 && at.x < scene.width_m && at.y < scene.depth_m;
        let (color, gloss) = if is_inside {
            scene.floor.color(at, scene.camera.footprint_m(distance_m) / (-direction.z).max(0.05))
        } else {
            (scene.hall.floor_color(at), 0.03)
        };
        let light = shade(scene, at, UP, direction, color, gloss);
        return Hit { distance_m, light: hazy(light, distance_m), label: 2, owner: NOBODY };
    }
    if let Some((number, hit)) = wall {
        let at = from + direction * hit.distance_m;
        let light = shade(scene, at, hit.normal, direction, hit.color, hit.gloss);
        let label = 3 + number as u32;
        return Hit { distance_m: hit.distance_m, light: hazy(light, hit.distance_m), label, owner: NOBODY };
    }
    let Some((distance_m, candidate)) = nearest else {
        return Hit { distance_m: 60.0, light: Vec3::default(), label: 0, owner: NOBODY };
    };
    let body = &scene.bodies[candidate.body];
    let at = from + direction * distance_m;
    let normal = normal(&candidate.parts, at, 0.4 * scene.camera.footprint_m(distance_m).max(0.002));
    let (color, gloss) = body.color(at, normal, &candidate.parts);
    let light = shade(scene, at, body.uneven(at, normal), direction, color, gloss);
    let label = 1000 + candidate.body as u32;
    Hit { distance_m, light: hazy(light, distance_m), label, owner: body.pig.unwrap_or(NOBODY) }
}

/// The distance at which a ray hits a body.
fn march(scene: &Scene, candidate: &Candidate, direction: Vec3) -> Option<f32> {
    let from = scene.camera.position;
    let offset = candidate.center - from;
    let along = offset.dot(direction);
    let off_square = offset.dot(offset) - along * along;
    let half_square = candidate.radius_m * candidate.radius_m - off_square;
    if half_square <= 0.0 {
        return None;
    }
    let half = half_square.sqrt();
    let (mut travelled, end) = ((along - half).max(0.05), along + half);
    let precision = 0.3 * scene.camera.footprint_m(1.0);
    for _ in 0..MARCH_STEPS {
        if travelled > end {
            return None;
        }
        let distance = shape::distance(&candidate.parts, from + direction * travelled);
        if distance < precision * travelled {
            return Some(travelled);
        }
        travelled += distance.max(precision * travelled);
    }
    None
}

/// The surface normal from four differences (Quilez's tetrahedron technique).
fn normal(parts: &[Part], at: Vec3, step: f32) -> Vec3 {
    let corners = [vec3(1.0, -1.0, -1.0), vec3(-1.0, -1.0, 1.0), vec3(-1.0, 1.0, -1.0), vec3(1.0, 1.0, 1.0)];
    corners
        .into_iter()
        .fold(Vec3::default(), |sum, corner| sum + corner * shape::distance(parts, at + corner * step))
        .normalized()
}

/// The light that a surface reflects to the camera.
fn shade(scene: &Scene, at: Vec3, normal: Vec3, direction: Vec3, color: Vec3, gloss: f32) -> Vec3 {
    let lighting = &scene.lighting;
    let open = openness(scene, at, normal);
    // Ambient light comes mostly from above.
    let mut light = color * lighting.ambient * (open * (0.7 + 0.3 * normal.z));
    for lamp in &lighting.lamps {
        let offset = lamp.position - at;
        let distance_m = offset.length();
        let towards = offset * (1.0 / distance_m);
        let facing = (normal.dot(towards) + 0.08) / 1.08;
        if facing <= 0.0 {
            continue;
        }
        let shadow =
            if lamp.casts_shadow { lit_share(scene, at + normal * 0.01, lamp) } else { 0.5 + 0.5 * open };
        if shadow <= 0.0 {
            continue;
        }
        let incoming = lamp.light_at(at, distance_m) * shadow;
        light = light + color * incoming * facing;
        let halfway = (towards - direction).normalized();
        light = light + incoming * (gloss * normal.dot(halfway).max(0.0).powi(24));
    }
    light
}

/// Ambient occlusion: 1 in the open, low in a corner or between two pigs.
fn openness(scene: &Scene, at: Vec3, normal: Vec3) -> f32 {
    let (mut taken, mut weight) = (0.0, 1.0);
    for number in 1..=3 {
        let reach = 0.01 + 0.06 * number as f32;
        let place = at + normal * reach;
        let mut distance = scene.grid.nearest_m(place).min(place.z);
        for wall in &scene.walls {
            distance = distance.min(wall.distance(place));
        }
        taken += (reach - distance.min(reach)) * weight;
        weight *= 0.75;
    }
    (1.0 - scene.lighting.depth * taken).clamp(0.12, 1.0)
}

/// The visible share of a lamp from a point. Soft shadows from the smallest distance along the ray (Quilez).
fn lit_share(scene: &Scene, at: Vec3, lamp: &Lamp) -> f32 {
    const SOFTNESS: f32 = 9.0;
    let offset = lamp.position - at;
    let distance_m = offset.length();
    let direction = offset * (1.0 / distance_m);
    if scene.walls.iter().any(|wall| wall.shades(at, direction, distance_m)) {
        return 0.0;
    }
    let (mut travelled, mut least) = (0.02, 1.0_f32);
    for _ in 0..14 {
        let place = at + direction * travelled;
        if place.z > scene.grid.top_m || travelled > distance_m {
            break;
        }
        let distance = scene.grid.nearest_m(place);
        least = least.min(0.5 + 0.5 * SOFTNESS * distance / travelled);
        if least < 0.02 {
            return 0.0;
        }
        travelled += distance.clamp(0.04, 0.2);
    }
    smoothstep(0.0, 1.0, least)
}

/// The variation of colour of an object at a point.
pub(super) fn worn(at: Vec3, wear: f32, seed: f32) -> f32 {
    1.0 + wear * (fractal(at * 6.0 + Vec3::splat(seed), 3) - 0.6)
}
