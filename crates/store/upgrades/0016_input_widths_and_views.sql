-- The detector's input width of a source: as a person has set it, or chosen from the size of its animals.
alter table sources add column input_width_px bigint;
alter table sources add column measured_input_width_px bigint;
alter table sources add column measured_animal_px double precision;
alter table sources add column measured_inference_secs double precision;
alter table sources add column measured_with text;
-- Whether a recording shows the view that its own detector learned.
alter table videos add column view_checked_with text;
alter table videos add column view_matches boolean;
