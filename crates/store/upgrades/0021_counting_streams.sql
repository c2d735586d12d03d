-- Another stream of a camera, which is counted in place of the one that people see.
alter table cameras add column counting_url text;
