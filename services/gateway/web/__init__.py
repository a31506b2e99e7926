"""The public pages: boards, models, tasks and skills, read over HTTP without an account."""
