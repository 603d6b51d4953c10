'use strict';
process.env.AI_API = 'chat';
require('./ai.js');
