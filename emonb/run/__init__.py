"""How a study is made: stages and their artifacts, chapters executed as notebooks, editions, many worlds."""
