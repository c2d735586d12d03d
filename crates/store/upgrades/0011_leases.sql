-- Whoever holds something names itself and says until when; after that it is gone, and what it held is free.
alter table jobs rename column holder to lease_owner;
alter table jobs rename column held_until to lease_expires_at;

create table processes (
  id text primary key not null,            -- ULID, new at each start
  started_at bigint not null,
  expires_at bigint not null               -- renewed while it runs
);
-- Which process sees which file. The expiry is the process's: writing it to each of thousands of rows every few seconds would
-- keep a disk busy for nothing.
create table presence (
  video_id text not null references videos (id),
  owner text not null references processes (id),
  seen_at_millis bigint not null,          -- since 1970; when the file was last seen anew
  primary key (video_id, owner)
);
-- Upgrade 7 brought the codes; before it the sentence alone told why a job was cancelled by nobody.
update jobs set error_code = 'outdated' where error_code is null
  and error = 'the model or the settings changed; another job counts the video with those of now';
update jobs set error_code = 'replaced' where error_code is null
  and error = 'the file was replaced by another one, which has a job of its own';
