"""`nm-bus broker ...`: a supernode's RabbitMQ."""
