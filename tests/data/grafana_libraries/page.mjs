import * as board from "./board.mjs";

board.start();
window.boards = board;
