-- A camera is a source whose recording has no file: it is counted while it comes.
create table cameras (
  source_id text primary key not null references sources (id),
  video_id text not null references videos (id),
  url text not null,
  user_name text,
  password text,
  removed_at bigint
);
