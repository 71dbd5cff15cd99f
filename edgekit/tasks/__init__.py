"""Things to have a small model do, each a prompt and a form of answer that can be read and changed."""
