"""What `nm-bus doctor` looks at: each file one part of the way from here to an answer."""
