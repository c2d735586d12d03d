-- A source is where recordings come from: a folder of one camera's files, or one upload. Lines and settings belong to it.
create table sources (
  id text primary key not null,            -- ULID
  kind text not null,                      -- folder, upload
  name text not null,
  folder text,                             -- absolute; null for an upload
  min_score double precision,              -- for its recordings; null: as calibrated or configured
  created_at bigint not null
);
create unique index sources_by_folder on sources (folder);

-- Null only while a row is being written; every registered video has a source.
alter table videos add column source_id text references sources (id);
alter table videos add column min_score double precision;
-- Of the file's inode: with size and time they tell that nothing was written since. Null: the content is read at the next scan.
alter table videos add column inode bigint;
alter table videos add column changed_nanos bigint;

-- One source for each folder that directly holds videos. Its identifier is that of its first video.
insert into sources (id, kind, name, folder, created_at)
select min(id), 'folder', coalesce(nullif(max(name_of_folder), ''), nullif(max(replace(folder, parent, '')), ''), '/'),
  case folder when '' then '/' else folder end, min(added_at)
from (
  select id, added_at, name_of_folder, folder, rtrim(folder, replace(folder, '/', '')) as parent
  from (
    select id, added_at, rtrim(rtrim(name, replace(name, '/', '')), '/') as name_of_folder,
      rtrim(rtrim(path, replace(path, '/', '')), '/') as folder
    from videos
  ) as files
) as files_with_parents
group by folder;
update videos set source_id = (
  select sources.id from sources
  where sources.folder = case rtrim(rtrim(path, replace(path, '/', '')), '/') when '' then '/'
    else rtrim(rtrim(path, replace(path, '/', '')), '/') end
);
create index videos_by_source on videos (source_id);

-- Truth is boolean from now on.
alter table videos add column is_superseded boolean not null default false;
alter table videos add column is_paused boolean not null default false;
alter table videos rename column has_audio to has_audio_number;
alter table videos add column has_audio boolean;
update videos set is_superseded = (superseded = 1), is_paused = (paused = 1), has_audio = (has_audio_number = 1);
drop index videos_by_path;
alter table videos drop column superseded;
alter table videos drop column paused;
alter table videos drop column has_audio_number;
create unique index videos_by_path on videos (path) where not is_superseded;
-- Pages of the list.
create index videos_by_name on videos (name, id) where not is_superseded;
