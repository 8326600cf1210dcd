"""What came into and left an organization's earnings in a time, to the single run: as rows, as files, and in sum."""
