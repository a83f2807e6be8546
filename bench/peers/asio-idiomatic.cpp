/* SPDX-License-Identifier: MIT */
/*
 * Echo on asio as its examples show it: a session that shared_from_this() keeps alive,
 * async_read_some() into its own buffer, async_write() of what came, and again.
 *
 * The buffer has 64 KiB as everywhere here (the example has 1 KiB).
 */
#include "floor.h"

#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include <asio.hpp>

using asio::ip::tcp;

namespace
{

class session : public std::enable_shared_from_this<session>
{
  public:
    explicit session(tcp::socket socket) : socket_(std::move(socket))
    {
    }

    void start()
    {
        do_read();
    }

  private:
    /* An error ends the chain, and with it the session, whose socket closes itself. */
    void do_read()
    {
        socket_.async_read_some(asio::buffer(data_),
                                [self = shared_from_this()](std::error_code err, std::size_t n) {
                                    if (!err)
                                        self->do_write(n);
                                });
    }

    void do_write(std::size_t n)
    {
        asio::async_write(socket_, asio::buffer(data_, n),
                          [self = shared_from_this()](std::error_code err, std::size_t) {
                              if (!err)
                                  self->do_read();
                          });
    }

    tcp::socket socket_;
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
        acceptor_.bind(where);
        acceptor_.listen(FLOOR_BACKLOG);
        floor_announce(acceptor_.native_handle());
        do_accept();
    }

  private:
    void do_accept()
    {
        acceptor_.async_accept([this](std::error_code err, tcp::socket socket) {
            if (!err) {
                socket.set_option(tcp::no_delay(true), err);
                std::make_shared<session>(std::move(socket))->start();
            }
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

    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
};

} // namespace

int main(int argc, char **argv)
{
    const sockaddr_in a = floor_begin(argc, argv, "");
    asio::io_context context;
    server s(context,
             tcp::endpoint(asio::ip::address_v4(ntohl(a.sin_addr.s_addr)), ntohs(a.sin_port)));

    context.run();
}
