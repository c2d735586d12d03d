-- Registering a file asks which videos were at its path before: with thousands of files that has to be quick.
create index videos_by_any_path on videos (path, added_at);
