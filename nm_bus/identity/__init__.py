"""Who somebody is on the bus: the roles of principals and of the brokers' own users."""
