"""Views of the world for Gymnasium. No physics here."""
