"""How messages travel: one protocol, in memory and over RabbitMQ."""
