"""How things look to a person: pages, tables, figures, safe text. No command, and nothing asked."""
