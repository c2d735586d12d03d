-- A threshold that was fitted to a known number says nothing of another detector's scores.
alter table videos add column min_score_model text;
