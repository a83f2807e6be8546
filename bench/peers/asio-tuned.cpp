/* SPDX-License-Identifier: MIT */
/*
 * Echo on asio at its best, by what its documentation offers:
 *  - the answer is first written at once (non-blocking write_some()), and only what the socket did
 *    not take with async_write();
 *  - sockets with the executor of io_context instead of any_io_executor, which is type-erased;
 *  - a concurrency hint of "unsafe", which does away with the locks: there is one thread;
 *  - a session is deleted when it ends and not counted; a handler is one pointer, for which asio
 *    reuses the memory of the one before;
 *  - TCP_NODELAY is inherited from the listening socket, as with the limits by hand.
 * A buffer for each session stays: async_read_some() needs one as long as it waits, and
 * async_wait() instead of it, with one buffer for all, costs an epoll_ctl(2) for each message.
 */
#include "floor.h"

#include <array>
#include <chrono>
#include <utility>

#include <asio.hpp>

using asio::ip::tcp;

namespace
{

using executor = asio::io_context::executor_type;
using stream_socket = asio::basic_stream_socket<tcp, executor>;
using acceptor = asio::basic_socket_acceptor<tcp, executor>;
using timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, executor>;

class session
{
  public:
    explicit session(stream_socket &&socket) : socket_(std::move(socket))
    {
    }

    void start()
    {
        std::error_code err;

        socket_.non_blocking(true, err);
        if (err)
            delete this;
        else
            do_read();
    }

  private:
    void do_read()
    {
        socket_.async_read_some(asio::buffer(data_), [this](std::error_code err, std::size_t n) {
            if (err)
                delete this;
            else
                answer(n);
        });
    }

    void answer(std::size_t n)
    {
        std::error_code err;
        const std::size_t sent = socket_.write_some(asio::buffer(data_, n), err);

        if (err && err != asio::error::would_block)
            delete this;
        else if (sent == n)
            do_read();
        else
            do_write(sent, n);
    }

    void do_write(std::size_t from, std::size_t to)
    {
        asio::async_write(socket_, asio::buffer(data_.data() + from, to - from),
                          [this](std::error_code err, std::size_t) {
                              if (err)
                                  delete this;
                              else
                                  do_read();
                          });
    }

    stream_socket socket_;
    std::array<char, FLOOR_BUFFER> data_;
};

class server
{
  public:
    server(asio::io_context &context, const tcp::endpoint &where)
        : acceptor_(context), pause_(context)
    {
        acceptor_.open(where.protocol());
        acceptor_.set_option(tcp::acceptor::reuse_address(true));
        acceptor_.set_option(tcp::no_delay(true));
        acceptor_.bind(where);
        acceptor_.listen(FLOOR_BACKLOG);
        floor_announce(acceptor_.native_handle());
        do_accept();
    }

  private:
    void do_accept()
    {
        acceptor_.async_accept([this](std::error_code err, stream_socket socket) {
            if (!err)
                (new session(std::move(socket)))->start();
            if (err && floor_short_of(err.value()))
                do_pause();
            else
                do_accept();
        });
    }

    /* Out of descriptors, another attempt would fail at once. */
    void do_pause()
    {
        pause_.expires_after(std::chrono::milliseconds(10));
        pause_.async_wait([this](std::error_code) { do_accept(); });
    }

    acceptor acceptor_;
    timer pause_;
};

} // namespace

int main(int argc, char **argv)
{
    const sockaddr_in a = floor_begin(argc, argv, "");
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    server s(context,
             tcp::endpoint(asio::ip::address_v4(ntohl(a.sin_addr.s_addr)), ntohs(a.sin_port)));

    context.run();
}
