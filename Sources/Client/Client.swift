// Producer, consumer and admin, for Swift programs.
