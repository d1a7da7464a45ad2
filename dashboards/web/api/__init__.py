"""The REST API, `/api/v1`: what the pages show and do, for programs.

`api_routes` lists all operations; each is an `ApiRoute` of a module `…_operations`,
with types of a module `…_documents`. `rest_api` serves them, and `openapi_document`
describes them: both follow from the routes.
"""
