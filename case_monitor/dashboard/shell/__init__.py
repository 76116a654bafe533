"""What answers a request for a page: rendering, the kept answers, who visits, forms, turning pages."""
