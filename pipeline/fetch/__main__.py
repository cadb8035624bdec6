from pipeline.fetch.command import main

main()
