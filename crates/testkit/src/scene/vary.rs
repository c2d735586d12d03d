//! Scenes of every kind, to train and to examine detectors with.

use super::{Coat, Floor, Lighting, Scene, SceneSettings};
use crate::random::Random;

impl Scene {
    /// A scene whose coats, floor, light, camera, crowd and moment all follow from the seed: 0 to `most_pigs` pigs (none
    /// at all on every seventh), and up to 4 things that are none. Half of them have one coat alone, as most herds do; a
    /// quarter are corridors.
    pub fn varied(seed: u64, most_pigs: usize) -> Self {
        // A stream of its own: the scene's own draws begin from the seed too.
        let random = &mut Random::new(seed ^ 0x5EED_0F5C_E4E5_0000);
        let coats = if random.chance(0.5) {
            // Most pigs are pink.
            vec![if random.chance(0.5) { Coat::Pink } else { Coat::ALL[random.below(Coat::ALL.len())] }]
        } else {
            Coat::ALL.to_vec()
        };
        let floors = [Floor::Concrete, Floor::Slats, Floor::Straw];
        let lightings = [Lighting::Daylight, Lighting::Daylight, Lighting::Lamp, Lighting::Infrared];
        let (width, height) = [(640, 360), (640, 480), (512, 512)][random.below(3)];
        let pigs = if random.chance(0.15) { 0 } else { random.below(most_pigs + 1) };
        // As long as fit beside each other, and shorter.
        let fitting = 0.62 / (pigs.max(4) as f32).sqrt();
        let settings = SceneSettings {
            width,
            height,
            pigs,
            body: fitting * random.between(0.6, 1.0),
            coats,
            floor: floors[random.below(floors.len())],
            lighting: lightings[random.below(lightings.len())],
            crowding: random.between(0.0, 0.8),
            shadows: random.chance(0.7),
            noise: random.between(0.0, 6.0),
            mirrored: random.chance(0.5),
            marked: false,
            things: random.below(5),
        };
        let is_corridor = pigs > 0 && random.chance(0.25);
        let secs = f64::from(random.between(0.0, 12.0));
        let mut scene = if is_corridor { Self::corridor(seed, settings) } else { Self::pen(seed, settings) };
        scene.advance_to(secs);
        scene
    }
}
