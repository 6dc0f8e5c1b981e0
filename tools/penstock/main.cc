#include "command.h"

int main(int argc, char** argv) { return penstock::tools::run(argc, argv); }
