"""What a browser is given at ``/``: a page that shows the feed live, with a script for each protocol."""
