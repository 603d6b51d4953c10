#include "ai/dialect_corpus_test.h"

#include <gtest/gtest.h>

#include <utility>

#include "net/sse.h"

namespace samplemind::ai::test {

const std::vector<CorpusRequest>& corpus_requests() {
  using enum Dialect;
  // clang-format off
  static const std::vector<CorpusRequest> all{
      // --- OpenAI
      {"o_plain", kOpenAi, R"({"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":9})"},
      {"o_no_limit", kOpenAi, R"({"model":"m","messages":[{"role":"user","content":"hi"}]})", {}, "A"},
      {"o_system", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"},{"role":"assistant","content":"yes?"},{"role":"user","content":"go on"}]})"},
      {"o_developer", kOpenAi,
       R"({"model":"m","max_completion_tokens":9,"messages":[{"role":"developer","content":"be brief"},{"role":"user","content":"é€😀"}]})"},
      {"o_sampling", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"temperature":0.5,"top_p":0.25,"stop":["A","B"]})"},
      {"o_seed", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"seed":7})", {{'A', "seed"}}},
      {"o_penalties", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"frequency_penalty":0.5,"presence_penalty":1.5})",
       {{'A', "frequency_penalty"}}},
      {"o_logprobs", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"logprobs":true,"top_logprobs":3})",
       {{'A', "logprobs"}}},
      {"o_choices", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"n":2})",
       {{'A', "'n'"}, {'G', "'n'"}, {'L', "'n'"}}},
      {"o_logit_bias", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"logit_bias":{"50256":-100}})",
       {{'A', "logit_bias"}, {'G', "logit_bias"}, {'L', "logit_bias"}}},
      {"o_image", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"what"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]})"},
      {"o_image_detail", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"what"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]}]})",
       {}, "AGL"},
      {"o_audio", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}]}]})",
       {{'A', "audio"}, {'L', "input_audio"}}},
      {"o_file", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]})",
       {{'L', "document"}}, "G"},
      {"o_tools", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}},{"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"42"},{"role":"tool","tool_call_id":"call_2","content":"{\"b\":[1]}"}],"tools":[{"type":"function","function":{"name":"f","description":"does","parameters":{"type":"object","properties":{"a":{"type":"number"}}}}},{"type":"function","function":{"name":"g","parameters":{"type":"object"}}}],"tool_choice":"auto"})"},
      {"o_required", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"required"})",
       {{'L', "tool_choice"}}},
      {"o_named", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"f"}}})",
       {{'L', "tool_choice"}}},
      {"o_one_call", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto","parallel_tool_calls":false})",
       {{'G', "parallel_tool_calls"}, {'L', "parallel_tool_calls"}}},
      {"o_schema", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"x":{"type":"integer"}}}}}})",
       {}, "AGL"},
      {"o_json", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}})",
       {{'A', "response_format"}}},
      {"o_effort", kOpenAi,
       R"({"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}],"reasoning_effort":"low"})",
       {}, "AG"},
      {"o_web", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search"}]})",
       {{'A', "web_search"}, {'G', "web_search"}, {'L', "web_search"}}},
      {"o_name", kOpenAi,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi","name":"Ann"}]})",
       {{'A', "'name'"}, {'G', "'name'"}, {'L', "'name'"}}},
      // --- Anthropic
      {"a_plain", kAnthropic, R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]})"},
      {"a_system", kAnthropic,
       R"({"model":"m","max_tokens":9,"system":[{"type":"text","text":"one","cache_control":{"type":"ephemeral"}},{"type":"text","text":"two"}],"messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"u"}})",
       {}, "L", {"\"ephemeral~\"", "\"ephemeral\",\"zz\"", "\"u~\"", "\"u\",\"zz\""}},
      {"a_turns", kAnthropic,
       R"({"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"yes"},{"role":"user","content":"go"}],"temperature":0.5,"top_p":0.5,"top_k":5,"stop_sequences":["X"]})"},
      {"a_image", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},{"type":"text","text":"what"}]}]})",
       {}, "L"},
      {"a_image_url", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.org/a.png"}}]}]})",
       {{'G', "remote image"}, {'L', "remote image"}}},
      {"a_document", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"a.pdf"}]}]})",
       {{'L', "document"}}, "G"},
      {"a_text_document", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"long text"},"title":"t"}]}]})",
       {}, "OGL"},
      {"a_citations", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"long text"},"citations":{"enabled":true}}]}]})",
       {{'O', "citations"}, {'G', "citations"}, {'L', "citations"}}},
      {"a_thinking", kAnthropic,
       R"({"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}],"thinking":{"type":"enabled","budget_tokens":2048}})",
       {}, "OGL"},
      {"a_signed", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"EqQB"},{"type":"redacted_thinking","data":"Emw="},{"type":"text","text":"yes"}]},{"role":"user","content":"go"}]})",
       {}, "OGL"},
      {"a_tools", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"let me see"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}},{"type":"tool_use","id":"toolu_2","name":"f","input":{"a":2}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"one"},{"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"two"}]},{"type":"text","text":"well?"}]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{"a":{"type":"number"}}}}],"tool_choice":{"type":"auto"}})"},
      {"a_failed_tool", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"no disk","is_error":true}]}]})",
       {}, "OL"},
      {"a_tool_image", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}]})",
       {{'O', "more than text"}, {'G', "more than text"}}},
      {"a_any_one", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}})",
       {{'G', "parallel_tool_calls"}, {'L', "tool_choice"}}},
      {"a_schema", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"x":{"type":"integer"}}}}}})",
       {}, "O"},
      {"a_effort", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"output_config":{"effort":"high"}})",
       {}, "G"},
      {"a_web", kAnthropic,
       R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":2}]})",
       {{'O', "web_search_20250305"}, {'G', "web_search_20250305"}, {'L', "web_search_20250305"}}},
      // --- Gemini
      {"g_plain", kGemini,
       R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9}})"},
      {"g_system", kGemini,
       R"({"systemInstruction":{"parts":[{"text":"be brief"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"yes"}]},{"role":"user","parts":[{"text":"go"}]}],"generationConfig":{"maxOutputTokens":9,"temperature":0.5,"topP":0.5,"topK":4,"stopSequences":["X"]}})"},
      {"g_snake", kGemini,
       R"({"system_instruction":{"parts":[{"text":"be brief"}]},"contents":[{"parts":[{"text":"hi"}]}],"generation_config":{"max_output_tokens":9}})"},
      {"g_safety", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],"generationConfig":{"maxOutputTokens":9}})",
       {{'O', "safetySettings"}, {'A', "safetySettings"}, {'L', "safetySettings"}}},
      {"g_no_thinking", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9,"thinkingConfig":{"thinkingBudget":0}}})",
       {}, "A"},
      {"g_level", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9000,"thinkingConfig":{"thinkingLevel":"LOW"}}})",
       {}, "A"},
      {"g_schema", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9,"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"x":{"type":"INTEGER"}}}}})",
       {}, "O", {"application/json~"}},
      {"g_image", kGemini,
       R"({"contents":[{"parts":[{"text":"what"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}],"generationConfig":{"maxOutputTokens":9}})"},
      {"g_audio", kGemini,
       R"({"contents":[{"parts":[{"inlineData":{"mimeType":"audio/mpeg","data":"SUQz"}}]}],"generationConfig":{"maxOutputTokens":9}})",
       {{'A', "audio"}, {'L', "audio"}}},
      {"g_file", kGemini,
       R"({"contents":[{"parts":[{"fileData":{"mimeType":"application/pdf","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x"}}]}],"generationConfig":{"maxOutputTokens":9}})",
       {{'O', "document"}, {'L', "document"}}, "A"},
      {"g_tools", kGemini,
       R"({"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}},{"functionCall":{"name":"f","args":{"a":2}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"result":"one"}}},{"functionResponse":{"name":"f","response":{"b":2}}}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"a":{"type":"NUMBER"}}}}]}],"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},"generationConfig":{"maxOutputTokens":9}})"},
      {"g_any_one", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}},{"name":"g","parametersJsonSchema":{"type":"object"}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},"generationConfig":{"maxOutputTokens":9}})",
       {{'L', "tool_choice"}}},
      {"g_any_two", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}},{"name":"g","parametersJsonSchema":{"type":"object"}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}},"generationConfig":{"maxOutputTokens":9}})",
       {{'A', "tool_choice"}, {'L', "tool_choice"}}},
      {"g_search", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"tools":[{"googleSearch":{}}],"generationConfig":{"maxOutputTokens":9}})",
       {{'O', "googleSearch"}, {'A', "googleSearch"}, {'L', "googleSearch"}}},
      {"g_two", kGemini,
       R"({"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9,"candidateCount":2,"seed":5}})",
       {{'O', "candidateCount"}, {'A', "candidateCount"}, {'L', "candidateCount"}}},
      {"g_signed", kGemini,
       R"({"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"CpwB"}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"result":"x"}}}]}],"generationConfig":{"maxOutputTokens":9}})",
       {}, "AL"},
      // --- Ollama
      {"l_plain", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"options":{"num_predict":9}})"},
      {"l_options", kOllama,
       R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}],"stream":false,"options":{"num_predict":9,"temperature":0.5,"top_k":5,"top_p":0.5,"stop":["X"]},"keep_alive":"5m"})",
       {}, "", {"\"5m~\""}},
      {"l_num_ctx", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"options":{"num_predict":9,"num_ctx":4096}})",
       {{'O', "num_ctx"}, {'A', "num_ctx"}, {'G', "num_ctx"}}},
      {"l_image", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"what","images":["iVBORw0KGgo="]}],"stream":false,"options":{"num_predict":9}})"},
      {"l_tools", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{"function":{"name":"g","arguments":{}}}]},{"role":"tool","content":"one","tool_name":"f"},{"role":"tool","content":"two","tool_name":"g"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"function","function":{"name":"g","parameters":{"type":"object"}}}],"stream":false,"options":{"num_predict":9}})"},
      {"l_think", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"think":"high","options":{"num_predict":90000}})",
       {}, "AG"},
      {"l_json", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"format":"json","options":{"num_predict":9}})",
       {{'A', "response_format"}}},
      {"l_schema", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false,"format":{"type":"object","properties":{"x":{"type":"integer"}}},"options":{"num_predict":9}})",
       {}, "O"},
      {"l_thought", kOllama,
       R"({"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes","thinking":"hm"},{"role":"user","content":"go"}],"stream":false,"options":{"num_predict":9}})",
       {}, "AG"},
      // --- OpenAI's responses
      {"r_plain", kResponses, R"({"model":"m","input":"hi","max_output_tokens":9})"},
      {"r_turns", kResponses,
       R"({"model":"m","instructions":"be brief","input":[{"role":"user","content":"hi"},{"type":"message","role":"assistant","id":"msg_1","status":"completed","content":[{"type":"output_text","text":"yes","annotations":[]}]},{"role":"user","content":[{"type":"input_text","text":"go"}]}],"temperature":0.5,"top_p":0.5,"max_output_tokens":9,"store":true,"metadata":{"a":"b"},"user":"u","truncation":"disabled"})",
       {}, "", {"\"msg_1~\"", "\"completed~\"", "\"annotations\":[],\"zz\"", "\"b~\"", "\"b\",\"zz\"", "\"u~\"", "\"store\":false"}},
      {"r_image", kResponses,
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"what"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}],"max_output_tokens":9})"},
      {"r_image_url", kResponses,
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://example.org/a.png"}]}],"max_output_tokens":9})",
       {{'G', "remote image"}, {'L', "remote image"}}},
      {"r_file", kResponses,
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}]}],"max_output_tokens":9})",
       {{'L', "document"}}, "G"},
      {"r_tools", kResponses,
       R"({"model":"m","input":[{"role":"user","content":"hi"},{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"a\":1}"},{"type":"function_call","call_id":"call_2","name":"f","arguments":"{\"a\":2}"},{"type":"function_call_output","call_id":"call_1","output":"one"},{"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"two"}]}],"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"number"}}}}],"tool_choice":"auto","max_output_tokens":9})",
       {}, "", {"\"fc_1~\""}},
      {"r_required", kResponses,
       R"({"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],"tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false,"max_output_tokens":9})",
       {{'G', "parallel_tool_calls"}, {'L', "tool_choice"}}},
      {"r_allowed", kResponses,
       R"({"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"}},{"type":"function","name":"g","parameters":{"type":"object"}}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]},"max_output_tokens":9})",
       {{'A', "tool_choice"}, {'G', "tool_choice"}, {'L', "tool_choice"}}},
      {"r_schema", kResponses,
       R"({"model":"m","input":"hi","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{"x":{"type":"integer"}}}}},"max_output_tokens":9})",
       {}, "AGL"},
      {"r_verbosity", kResponses,
       R"({"model":"m","input":"hi","text":{"verbosity":"low"},"max_output_tokens":9})",
       {{'A', "verbosity"}, {'G', "verbosity"}, {'L', "verbosity"}}},
      {"r_effort", kResponses,
       R"({"model":"m","input":"hi","reasoning":{"effort":"low","summary":"detailed"},"max_output_tokens":9000})",
       {}, "OAGL"},
      {"r_reasoning", kResponses,
       R"({"model":"m","input":[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAA"},{"role":"assistant","content":"yes"},{"role":"user","content":"go"}],"include":["reasoning.encrypted_content"],"max_output_tokens":9})",
       {}, "OAGL", {"\"rs_1~\"", "\"encrypted_content\":\"gAAA\",\"zz\"", "\"summary_text~\"", "\"hm\",\"zz\"", "\"reasoning.encrypted_content~\""}},
      {"r_web", kResponses,
       R"({"model":"m","input":"hi","tools":[{"type":"web_search"}],"max_output_tokens":9})",
       {{'O', "web_search"}, {'A', "web_search"}, {'G', "web_search"}, {'L', "web_search"}}},
      {"r_custom", kResponses,
       R"({"model":"m","input":"hi","tools":[{"type":"custom","name":"sh","description":"d"}],"max_output_tokens":9})",
       {{'O', "custom"}, {'A', "custom"}, {'G', "custom"}, {'L', "custom"}}},
      {"r_shell", kResponses,
       R"({"model":"m","input":[{"role":"user","content":"hi"},{"type":"local_shell_call_output","id":"x","output":"o"}],"max_output_tokens":9})",
       {{'O', "local_shell_call_output"}, {'A', "local_shell_call_output"}, {'G', "local_shell_call_output"}, {'L', "local_shell_call_output"}}},
      {"r_conversation", kResponses,
       R"({"model":"m","input":"hi","conversation":"conv_1","max_output_tokens":9})",
       {{'O', "conversation"}, {'A', "conversation"}, {'G', "conversation"}, {'L', "conversation"}}},
      // --- OpenAI's older completions
      {"c_plain", kCompletions, R"({"model":"m","prompt":"Once upon","max_tokens":9,"user":"u"})", {}, "", {"u~"}},
      {"c_list", kCompletions, R"({"model":"m","prompt":["Once upon"],"max_tokens":9,"n":1,"best_of":1,"echo":false})", {}, "", {"\"echo\":true"}},
      {"c_sampling", kCompletions, R"({"model":"m","prompt":"é€😀","max_tokens":9,"temperature":0.5,"top_p":0.25,"stop":["A","B"],"suffix":null})"},
      {"c_echo", kCompletions, R"({"model":"m","prompt":"Once","max_tokens":9,"stop":"."})"},
      {"c_seed", kCompletions, R"({"model":"m","prompt":"Once","max_tokens":9,"seed":7,"presence_penalty":0.5})", {{'A', "presence_penalty"}}},
      {"c_logprobs", kCompletions, R"({"model":"m","prompt":"Once","max_tokens":9,"logprobs":3})", {{'A', "logprobs"}}},
      {"c_echo_logprobs", kCompletions, R"({"model":"m","prompt":"Once","max_tokens":1,"logprobs":1,"echo":true})",
       {{'O', "'echo'"}, {'A', "'echo'"}, {'G', "'echo'"}, {'L', "'echo'"}}},
      {"c_suffix", kCompletions, R"({"model":"m","prompt":"def f(","suffix":"return 1","max_tokens":9})",
       {{'O', "'suffix'"}, {'A', "'suffix'"}, {'G', "'suffix'"}, {'L', "'suffix'"}}},
      {"c_many", kCompletions, R"({"model":"m","prompt":["a","b"],"max_tokens":9})",
       {{'O', "several texts"}, {'A', "several texts"}, {'G', "several texts"}, {'L', "several texts"}}},
      {"c_tokens", kCompletions, R"({"model":"m","prompt":[5,6],"max_tokens":9})",
       {{'O', "of tokens"}, {'A', "of tokens"}, {'G', "of tokens"}, {'L', "of tokens"}}},
      {"c_choices", kCompletions, R"({"model":"m","prompt":"a","max_tokens":9,"n":2})",
       {{'O', "'n'"}, {'A', "'n'"}, {'G', "'n'"}, {'L', "'n'"}}},
      {"c_best_of", kCompletions, R"({"model":"m","prompt":"a","max_tokens":9,"best_of":3})",
       {{'O', "'best_of'"}, {'A', "'best_of'"}, {'G', "'best_of'"}, {'L', "'best_of'"}}},
      {"c_bias", kCompletions, R"({"model":"m","prompt":"a","max_tokens":9,"logit_bias":{"50256":-100}})",
       {{'O', "'logit_bias'"}, {'A', "'logit_bias'"}, {'G', "'logit_bias'"}, {'L', "'logit_bias'"}}},
  };
  // clang-format on
  return all;
}

const std::vector<CorpusAnswer>& corpus_answers() {
  using enum Dialect;
  // clang-format off
  static const std::vector<CorpusAnswer> all{
      {"oa_text", kOpenAi,
       R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi é 😀\n\"q\"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}})"},
      {"oa_tools", kOpenAi,
       R"({"id":"chatcmpl-2","object":"chat.completion","created":1700000000,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{\"a\": 1, \"b\":[true,null]}"}},{"id":"call_b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
      {"oa_length", kOpenAi,
       R"({"id":"chatcmpl-3","object":"chat.completion","created":1700000000,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"cut"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
      {"oa_refusal", kOpenAi,
       R"({"id":"chatcmpl-4","object":"chat.completion","created":1700000000,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I cannot"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
      {"oa_filter", kOpenAi,
       R"({"id":"chatcmpl-5","object":"chat.completion","created":1700000000,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"so"},"finish_reason":"content_filter"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
      {"oa_logprobs", kOpenAi,
       R"({"id":"chatcmpl-6","object":"chat.completion","created":1700000000,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"ab"},"logprobs":{"content":[{"token":"a","logprob":-0.25,"bytes":null,"top_logprobs":[{"token":"a","logprob":-0.25,"bytes":null}]},{"token":"b","logprob":-1.5,"bytes":null,"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
      {"oa_reasoning", kOpenAi,
       R"({"id":"chatcmpl-7","object":"chat.completion","created":1700000000,"model":"deep","choices":[{"index":0,"message":{"role":"assistant","content":"yes","reasoning_content":"because\nso"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})"},
      {"aa_text", kAnthropic,
       R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hi é"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":3,"cache_read_input_tokens":2,"output_tokens":7}})"},
      {"aa_thinking", kAnthropic,
       R"({"id":"msg_2","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm, so","signature":"EqQBCgIYAhIM"},{"type":"redacted_thinking","data":"EmwKAhgC"},{"type":"text","text":"yes"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})"},
      {"aa_tools", kAnthropic,
       R"({"id":"msg_3","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"first","signature":"EqQB"},{"type":"text","text":"let me"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}},{"type":"tool_use","id":"toolu_2","name":"g","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})"},
      {"aa_interleaved", kAnthropic,
       R"({"id":"msg_4","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"one"},{"type":"thinking","thinking":"mid","signature":"Eq"},{"type":"text","text":"two"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})"},
      {"aa_max", kAnthropic,
       R"({"id":"msg_5","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"cut"}],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})"},
      {"aa_stop", kAnthropic,
       R"({"id":"msg_6","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"till"}],"stop_reason":"stop_sequence","stop_sequence":"END","usage":{"input_tokens":5,"output_tokens":7}})"},
      {"aa_refusal", kAnthropic,
       R"({"id":"msg_7","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"no"}],"stop_reason":"refusal","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})"},
      {"aa_citations", kAnthropic,
       R"({"id":"msg_8","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"said","citations":[{"type":"char_location","cited_text":"x","document_index":0,"start_char_index":0,"end_char_index":1}]}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})"},
      {"ga_text", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"Hi é"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":15,"cachedContentTokenCount":3,"thoughtsTokenCount":2},"modelVersion":"gemini-x","responseId":"r1"})"},
      {"ga_thought", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"yes","thoughtSignature":"CpwB"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"gemini-x","responseId":"r2"})"},
      {"ga_calls", kGemini,
       R"({"candidates":[{"content":{"parts":[{"functionCall":{"id":"fc1","name":"f","args":{"a":1}},"thoughtSignature":"CpwB"},{"functionCall":{"id":"fc2","name":"g","args":{}}}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"gemini-x","responseId":"r3"})"},
      {"ga_max", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"cut"}],"role":"model"},"finishReason":"MAX_TOKENS","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"gemini-x","responseId":"r4"})"},
      {"ga_safety", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"so"}],"role":"model"},"finishReason":"SAFETY","index":0,"safetyRatings":[{"category":"HARM_CATEGORY_HARASSMENT","probability":"HIGH","blocked":true}]}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"gemini-x","responseId":"r5"})"},
      {"ga_logprobs", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"ab"}],"role":"model"},"finishReason":"STOP","index":0,"logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-0.25},{"token":"b","logProbability":-1.5}],"topCandidates":[{"candidates":[{"token":"a","logProbability":-0.25}]},{"candidates":[]}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"gemini-x","responseId":"r6"})"},
      {"la_text", kOllama,
       R"({"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hi é"},"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":9,"eval_count":4})"},
      {"la_thinking", kOllama,
       R"({"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"yes","thinking":"hm"},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":4})"},
      {"la_calls", kOllama,
       R"({"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"call_x","function":{"index":0,"name":"f","arguments":{"a":1}}},{"id":"call_y","function":{"index":0,"name":"g","arguments":{}}}]},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":4})"},
      {"la_length", kOllama,
       R"({"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"cut"},"done":true,"done_reason":"length","prompt_eval_count":9,"eval_count":4})"},
      {"ra_text", kResponses,
       R"({"id":"resp_1","object":"response","created_at":1700000000,"status":"completed","error":null,"incomplete_details":null,"model":"gpt-x","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi é","annotations":[],"logprobs":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]}]}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":17}})"},
      {"ra_reasoning", kResponses,
       R"({"id":"resp_2","object":"response","created_at":1700000000,"status":"completed","error":null,"incomplete_details":null,"model":"gpt-x","output":[{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAA"},{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_a","name":"f","arguments":"{\"a\":1}"},{"id":"fc_2","type":"function_call","status":"completed","call_id":"call_b","name":"g","arguments":"{}"}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":17}})"},
      {"ra_cut", kResponses,
       R"({"id":"resp_3","object":"response","created_at":1700000000,"status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"model":"gpt-x","output":[{"id":"msg_1","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","text":"cut","annotations":[]}]}],"usage":{"input_tokens":10,"output_tokens":7,"total_tokens":17}})"},
      {"ra_refusal", kResponses,
       R"({"id":"resp_4","object":"response","created_at":1700000000,"status":"completed","error":null,"incomplete_details":null,"model":"gpt-x","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"refusal","refusal":"I cannot"}]}],"usage":{"input_tokens":10,"output_tokens":7,"total_tokens":17}})"},
      {"ca_text", kCompletions,
       R"({"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"gpt-3.5-turbo-instruct","system_fingerprint":"fp_1","choices":[{"text":" a time é","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17}})"},
      {"ca_logprobs", kCompletions,
       R"({"id":"cmpl-2","object":"text_completion","created":1700000000,"model":"m","choices":[{"text":" a","index":0,"logprobs":{"tokens":[" a"],"token_logprobs":[-0.5],"top_logprobs":[{" a":-0.5," the":-1.25}],"text_offset":[4]},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17}})"},
      {"ca_cut", kCompletions,
       R"({"id":"cmpl-3","object":"text_completion","created":1700000000,"model":"m","choices":[{"text":"cut","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17}})"},
  };
  // clang-format on
  return all;
}

Form form_of(Dialect dialect, bool stream) {
  Form f;
  f.dialect = dialect;
  f.stream = stream;
  f.include_usage = true;
  f.model = "some-model";
  return f;
}

std::vector<ChatDelta> pieces_in(Dialect dialect, std::string_view bytes, ChatAnswer& head) {
  const auto reader = make_answer_reader(dialect);
  reader->made_id = "0123456789abcdef";
  std::vector<ChatDelta> pieces;
  if (dialect == Dialect::kOllama) {
    net::NdjsonReader lines;
    EXPECT_TRUE(lines.feed(bytes).ok());
    while (auto line = lines.next()) {
      const auto ok = reader->event("chat", std::move(*line), pieces);
      EXPECT_TRUE(ok.ok()) << ok.error().message();
    }
  } else {
    net::SseReader events;
    EXPECT_TRUE(events.feed(bytes).ok());
    while (auto event = events.next()) {
      EXPECT_FALSE(reader->done) << "something follows the end: " << event->data;
      const auto ok = reader->event(event->event, std::move(event->data), pieces);
      EXPECT_TRUE(ok.ok()) << ok.error().message();
    }
    EXPECT_FALSE(events.partial());
    reader->ended();
  }
  EXPECT_TRUE(reader->done) << bytes;
  EXPECT_TRUE(reader->finished) << bytes;
  head = reader->head;
  return pieces;
}

ChatAnswer joined(const std::vector<ChatDelta>& pieces, const ChatAnswer& head) {
  ChatAnswer a;
  for (const ChatDelta& d : pieces) append(a, d);
  a.id = head.id;
  a.model = head.model;
  a.created_s = head.created_s;
  return a;
}

}  // namespace samplemind::ai::test
