"""Who works on what: claims, announcements, deliveries."""
