-- What was wrong with a file's times and how it was repaired.
alter table videos add column repairs text;
