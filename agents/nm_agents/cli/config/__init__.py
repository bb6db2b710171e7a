"""`nm-bus config ...`: configuration documents, from a file to every member, and their past."""
