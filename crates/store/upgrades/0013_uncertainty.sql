-- How far a run's counts may be off, where its detector says what its scores mean.
alter table runs add column uncertainty_squares double precision;
alter table runs add column measured_boxes bigint not null default 0;
alter table runs add column small_boxes bigint not null default 0;
-- How many animals a person says there are.
alter table sources add column animals bigint;
