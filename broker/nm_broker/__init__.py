"""RabbitMQ for nm-bus: private brokers, access, links, certificates."""
