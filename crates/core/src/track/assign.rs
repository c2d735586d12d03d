//! Assignment with the least total cost.
//!
//! Optimal, not greedy: in a crowd a greedy assignment gives one animal another's detection, and
//! the error propagates. Successive shortest augmenting paths with potentials (Jonker and Volgenant 1987), with
//! one private dummy column for each row, at the cost of the gate: a row stays unmatched rather than cost more.
//! Deterministic: of equal ones the lower index wins.

/// A table of costs: rows × columns, row by row. Entries that aren't finite, or are above the gate, are never selected.
pub(crate) struct Costs {
    columns: usize,
    values: Vec<f32>,
}

impl Costs {
    /// From a cost for each pair; `None` forbids the pair.
    pub(crate) fn from_pairs(
        rows: usize,
        columns: usize,
        mut cost: impl FnMut(usize, usize) -> Option<f32>,
    ) -> Self {
        let mut values = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            values.extend((0..columns).map(|column| cost(row, column).unwrap_or(f32::INFINITY)));
        }
        Self { columns, values }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }
}

const NOBODY: usize = usize::MAX;

/// The pairs (row, column), by row, of the assignment with the least sum, where a row without a column costs
/// `gate`.
pub(crate) fn assign(costs: &Costs, gate: f32) -> Vec<(usize, usize)> {
    let (rows, columns) = (costs.rows(), costs.columns);
    // Column `columns + row` is the dummy of `row`.
    let width = columns + rows;
    let mut row_of = vec![NOBODY; width];
    let mut column_price = vec![0.0_f64; width];
    let mut row_price = vec![0.0_f64; rows];
    let mut distance = vec![0.0_f64; width];
    let mut came_from = vec![NOBODY; width];
    let mut done = vec![false; width];
    let mut visited = Vec::with_capacity(width);
    for first_row in 0..rows {
        distance.fill(f64::INFINITY);
        done.fill(false);
        visited.clear();
        let (mut row, mut reached, mut via) = (first_row, 0.0_f64, NOBODY);
        // Ends at a free column: the dummy of `first_row` is one, so there always is one.
        let mut end = loop {
            let reach =
                |cost: f32, column: usize| reached + f64::from(cost) - row_price[row] - column_price[column];
            for (column, &cost) in costs.row(row).iter().enumerate() {
                if cost <= gate && !done[column] && reach(cost, column) < distance[column] {
                    distance[column] = reach(cost, column);
                    came_from[column] = via;
                }
            }
            let dummy = columns + row;
            if !done[dummy] && reach(gate, dummy) < distance[dummy] {
                distance[dummy] = reach(gate, dummy);
                came_from[dummy] = via;
            }
            let mut nearest = dummy_or_first(&done, &distance);
            for column in 0..width {
                if !done[column] && distance[column] < distance[nearest] {
                    nearest = column;
                }
            }
            done[nearest] = true;
            reached = distance[nearest];
            if row_of[nearest] == NOBODY {
                break nearest;
            }
            visited.push(nearest);
            via = nearest;
            row = row_of[nearest];
        };
        row_price[first_row] += reached;
        for &column in &visited {
            column_price[column] -= reached - distance[column];
            row_price[row_of[column]] += reached - distance[column];
        }
        // Each row on the path moves one column on.
        while came_from[end] != NOBODY {
            row_of[end] = row_of[came_from[end]];
            end = came_from[end];
        }
        row_of[end] = first_row;
    }
    let mut pairs: Vec<_> = (0..columns).filter(|&c| row_of[c] != NOBODY).map(|c| (row_of[c], c)).collect();
    pairs.sort_unstable();
    pairs
}

/// Start of the search for the nearest open column: any open one.
fn dummy_or_first(done: &[bool], distance: &[f64]) -> usize {
    (0..done.len()).find(|&column| !done[column] && distance[column].is_finite()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The least sum by brute force.
    fn brute_force(costs: &Costs, gate: f32, row: usize, taken: &mut Vec<usize>) -> f64 {
        if row == costs.rows() {
            return 0.0;
        }
        let mut best = f64::from(gate) + brute_force(costs, gate, row + 1, taken);
        for column in 0..costs.columns {
            let cost = costs.row(row)[column];
            if cost <= gate && !taken.contains(&column) {
                taken.push(column);
                best = best.min(f64::from(cost) + brute_force(costs, gate, row + 1, taken));
                taken.pop();
            }
        }
        best
    }

    fn sum(costs: &Costs, gate: f32, pairs: &[(usize, usize)]) -> f64 {
        let paired: f64 = pairs.iter().map(|&(row, column)| f64::from(costs.row(row)[column])).sum();
        paired + f64::from(gate) * (costs.rows() - pairs.len()) as f64
    }

    #[test]
    fn empty_tables_have_no_pairs() {
        assert_eq!(assign(&Costs::from_pairs(0, 3, |_, _| Some(0.0)), 1.0), []);
        assert_eq!(assign(&Costs::from_pairs(3, 0, |_, _| Some(0.0)), 1.0), []);
    }

    #[test]
    fn nan_and_costs_above_the_gate_are_never_assigned() {
        let costs = Costs::from_pairs(2, 2, |row, column| match (row, column) {
            (0, 0) => Some(f32::NAN),
            (0, 1) => Some(2.0),
            (1, 0) => Some(0.9),
            _ => None,
        });
        assert_eq!(assign(&costs, 1.0), [(1, 0)]);
    }

    #[test]
    fn among_equals_the_lower_index_wins() {
        assert_eq!(assign(&Costs::from_pairs(2, 3, |_, _| Some(0.5)), 1.0), [(0, 0), (1, 1)]);
    }

    proptest! {
        #[test]
        fn no_other_assignment_is_cheaper(
            rows in 0_usize..6, columns in 0_usize..6,
            values in prop::collection::vec(prop::option::weighted(0.8, 0_u8..12), 36), gate in 1_u8..10,
        ) {
            // Few distinct values, so that ties and forbidden pairs are frequent.
            let costs = Costs::from_pairs(rows, columns, |r, c| values[r * 6 + c].map(|v| f32::from(v) / 8.0));
            let gate = f32::from(gate) / 8.0;
            let pairs = assign(&costs, gate);
            let mut columns_used: Vec<_> = pairs.iter().map(|&(_, column)| column).collect();
            columns_used.sort_unstable();
            columns_used.dedup();
            prop_assert_eq!(columns_used.len(), pairs.len());
            let best = brute_force(&costs, gate, 0, &mut Vec::new());
            prop_assert!((sum(&costs, gate, &pairs) - best).abs() < 1e-6);
        }
    }
}
