"""What Dataflow needs outside the flow: a flex template, its metadata and its launcher."""
