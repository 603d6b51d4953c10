#include "net/loop.h"

#include "net/loop_internal.h"

namespace samplemind::net {

namespace {

thread_local Loop* current_loop = nullptr;

class CurrentLoop {
 public:
  explicit CurrentLoop(Loop* loop) : before_(std::exchange(current_loop, loop)) {}
  ~CurrentLoop() { current_loop = before_; }
  CurrentLoop(const CurrentLoop&) = delete;
  CurrentLoop& operator=(const CurrentLoop&) = delete;

 private:
  Loop* before_;
};

// The outermost frame of a spawned task: known to its loop, gone when it ends.
struct Root {
  struct promise_type : internal::RootLink {
    // NOLINTNEXTLINE: the signature mirrors start()'s
    promise_type(internal::RootLink* head, Task<void>&) {
      handle = first.handle = std::coroutine_handle<promise_type>::from_promise(*this);
      previous = head->previous;
      next = head;
      previous->next = this;
      next->previous = this;
    }
    ~promise_type() {
      previous->next = next;
      next->previous = previous;
    }
    Root get_return_object() {
      return Root{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() noexcept { std::terminate(); }
    internal::ReadyNode first;  // for its start
  };
  std::coroutine_handle<promise_type> handle;
};

Root start(internal::RootLink* /*head*/, Task<void> task) {
  co_await task;
}

}  // namespace

// ---- CancelToken

struct CancelToken::Registration::Rep {
  Rep* previous = nullptr;
  Rep* next = nullptr;
  std::shared_ptr<State> state;
  std::function<void()> callback;
  void unlink() {
    if (next == nullptr) return;
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
};

struct CancelToken::State : std::enable_shared_from_this<CancelToken::State> {
  State() { head.previous = head.next = &head; }
  ~State() {
    while (head.next != &head) head.next->unlink();
    head.next = nullptr;
  }
  bool cancelled = false;
  Registration::Rep head;
  Registration parent;
};

CancelToken::Registration::Registration() = default;
CancelToken::Registration::Registration(Registration&&) noexcept = default;
CancelToken::Registration& CancelToken::Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    if (rep_) rep_->unlink();
    rep_ = std::move(other.rep_);
  }
  return *this;
}
CancelToken::Registration::~Registration() {
  if (rep_) rep_->unlink();
}

CancelToken CancelToken::create() {
  CancelToken token;
  token.state_ = std::make_shared<State>();
  return token;
}

CancelToken CancelToken::child() const {
  CancelToken token = create();
  State* state = token.state_.get();  // lives as long as the registration, which it owns
  state->parent = on_cancel([state] {
    CancelToken self;
    self.state_ = state->shared_from_this();
    self.cancel();
  });
  return token;
}

void CancelToken::cancel() const {
  if (!state_ || state_->cancelled) return;
  std::shared_ptr<State> keep = state_;
  keep->cancelled = true;
  while (keep->head.next != &keep->head) {
    Registration::Rep* rep = keep->head.next;
    rep->unlink();
    std::function<void()> callback = std::move(rep->callback);  // may destroy its own registration
    callback();
  }
}

bool CancelToken::cancelled() const {
  return state_ && state_->cancelled;
}

CancelToken::Registration CancelToken::on_cancel(std::function<void()> callback) const {
  Registration registration;
  if (!state_) return registration;
  if (state_->cancelled) {
    callback();
    return registration;
  }
  registration.rep_ = std::make_unique<Registration::Rep>();
  Registration::Rep* rep = registration.rep_.get();
  rep->callback = std::move(callback);
  rep->state = state_;
  rep->previous = state_->head.previous;
  rep->next = &state_->head;
  rep->previous->next = rep;
  rep->next->previous = rep;
  return registration;
}

// ---- Event

void internal::ReadyNode::unlink() {
  if (next == nullptr) return;
  previous->next = next;
  next->previous = previous;
  previous = next = nullptr;
}

Event::~Event() {
  if (waiter_ != nullptr) waiter_->event_ = nullptr;
}

void Event::notify() {
  if (waiter_ == nullptr) {
    set_ = true;
  } else if (waiter_->next == nullptr) {
    waiter_->loop_->rep().schedule(waiter_);
  }
}

void Event::notify_inline() {
  if (waiter_ == nullptr) {
    set_ = true;
    return;
  }
  waiter_->unlink();
  waiter_->handle.resume();
}

void Event::Awaiter::await_suspend(std::coroutine_handle<> waiter) noexcept {
  loop_ = Loop::current();
  SM_ASSERT(loop_ != nullptr);
  SM_ASSERT(event_->waiter_ == nullptr);
  handle = waiter;
  event_->waiter_ = this;
}

void Event::Awaiter::await_resume() noexcept {
  if (event_ == nullptr) return;
  if (event_->waiter_ == this) event_->waiter_ = nullptr;
  event_->set_ = false;
  event_ = nullptr;
}

Event::Awaiter::~Awaiter() {
  if (event_ != nullptr && event_->waiter_ == this) event_->waiter_ = nullptr;
}

// ---- Loop

Loop::Rep::Rep(Loop* owner_) : owner(owner_), mailbox(std::make_shared<Poster::State>()) {
  ready.previous = ready.next = &ready;
  roots.previous = roots.next = &roots;
  timers.previous = timers.next = &timers;
  mailbox->io = &io;
}

void Loop::Rep::schedule(internal::ReadyNode* node) {
  node->previous = ready.previous;
  node->next = &ready;
  node->previous->next = node;
  node->next->previous = node;
  if (std::exchange(drain_posted, true)) return;
  asio::post(io, [this] { drain(); });
}

void Loop::Rep::drain() {
  // Those that were ready at the start; what they wake comes after the I/O that waits meanwhile.
  internal::ReadyNode mark;
  mark.previous = ready.previous;
  mark.next = &ready;
  mark.previous->next = &mark;
  ready.previous = &mark;
  while (ready.next != &mark) {
    internal::ReadyNode* node = ready.next;
    node->unlink();
    node->handle.resume();
  }
  mark.unlink();
  drain_posted = ready.next != &ready;
  if (drain_posted) asio::post(io, [this] { drain(); });
}

Loop::Loop() : rep_(std::make_unique<Rep>(this)) {}

Loop::~Loop() {
  CurrentLoop scope(this);
  {
    std::lock_guard lock(rep_->mailbox->mutex);
    rep_->mailbox->io = nullptr;
  }
  destroy_tasks();
  while (rep_->timers.next != &rep_->timers) {
    Timer::Rep* timer = rep_->timers.next;
    timer->unlink();
    timer->timer.reset();
  }
  rep_->ready.unlink();
  rep_->ready.next = nullptr;
  rep_.reset();
}

Loop* Loop::current() {
  return current_loop;
}

void Loop::run() {
  SM_ASSERT(!rep_->running);
  CurrentLoop scope(this);
  rep_->running = true;
  if (!rep_->stop_wanted) rep_->io.run();
  rep_->stop_wanted = false;
  rep_->io.restart();
  rep_->running = false;
}

void Loop::run_one() {
  SM_ASSERT(!rep_->running);
  CurrentLoop scope(this);
  rep_->running = true;
  if (rep_->io.stopped()) rep_->io.restart();
  auto guard = asio::make_work_guard(rep_->io);
  rep_->io.run_one();
  rep_->running = false;
}

void Loop::keep_alive(bool on) {
  if (on && !rep_->guard) rep_->guard.emplace(rep_->io.get_executor());
  if (!on) rep_->guard.reset();
}

void Loop::stop() {
  rep_->stop_wanted = true;
  rep_->io.stop();
}

void Loop::post(std::function<void()> work) {
  asio::post(rep_->io, std::move(work));
}

void Loop::spawn(Task<void> task) {
  Root root = start(&rep_->roots, std::move(task));
  rep_->schedule(&root.handle.promise().first);
}

void Loop::destroy_tasks() {
  CurrentLoop scope(this);
  while (rep_->roots.next != &rep_->roots) rep_->roots.next->handle.destroy();
}

Loop::Poster Loop::poster() const {
  Poster poster;
  poster.state_ = rep_->mailbox;
  return poster;
}

bool Loop::Poster::post(std::function<void()> work) const {
  std::lock_guard lock(state_->mutex);
  if (state_->io == nullptr) return false;
  asio::post(*state_->io, std::move(work));
  return true;
}

Loop::Timer& Loop::Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    Timer old(std::move(*this));
    rep_ = std::move(other.rep_);
  }
  return *this;
}

Loop::Timer::~Timer() {
  if (!rep_) return;
  rep_->callback = nullptr;
  rep_->unlink();
  rep_->timer.reset();
}

Loop::Timer Loop::after(std::chrono::nanoseconds delay, std::function<void()> callback) {
  Timer timer;
  timer.rep_ = std::make_shared<Timer::Rep>();
  Timer::Rep& rep = *timer.rep_;
  rep.callback = std::move(callback);
  rep.timer.emplace(rep_->io);
  // Far deadlines ("never") must not overflow the clock.
  const auto longest = std::chrono::hours(24 * 365);
  rep.timer->expires_after(delay < longest ? delay : std::chrono::nanoseconds(longest));
  rep.previous = rep_->timers.previous;
  rep.next = &rep_->timers;
  rep.previous->next = &rep;
  rep.next->previous = &rep;
  rep.timer->async_wait([weak = std::weak_ptr(timer.rep_)](const ErrorCodeAsio& error) {
    std::shared_ptr<Timer::Rep> self = weak.lock();
    if (error || !self || !self->callback) return;
    self->unlink();
    std::function<void()> work = std::exchange(self->callback, nullptr);
    work();
  });
  return timer;
}

Task<void> Loop::yield() {
  auto turn = std::make_shared<Event>();
  post([turn] { turn->notify_inline(); });
  co_await turn->wait();
}

Task<bool> Loop::sleep_for(std::chrono::nanoseconds duration, CancelToken cancel) {
  if (cancel.cancelled()) co_return false;
  Event done;
  bool passed = false;
  Timer timer = after(duration, [&] {
    passed = true;
    done.notify_inline();
  });
  CancelToken::Registration registration = cancel.on_cancel([&] { done.notify(); });
  co_await done.wait();
  co_return passed;
}

}  // namespace samplemind::net
