"""What a student's file is tried against, in simulated time: the service, strict servers, and a visitor."""
