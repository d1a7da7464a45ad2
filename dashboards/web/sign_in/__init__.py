"""Who signs in and how: the council's sign-in (OpenID Connect), local users, sessions,
and the record of who did what. The pages are in the room around it."""
