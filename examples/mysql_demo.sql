-- The data that examples/mysql_agent.py is tried with, and a user who can only read it:
--   mysql -u root -p < examples/mysql_demo.sql
-- It may be run again: what is there stays.

CREATE DATABASE IF NOT EXISTS myagent_demo CHARACTER SET utf8mb4;
USE myagent_demo;
SET NAMES utf8mb4;

CREATE TABLE IF NOT EXISTS users (
    id INT PRIMARY KEY,
    name VARCHAR(50) NOT NULL COMMENT '姓名',
    email VARCHAR(100) NOT NULL UNIQUE COMMENT '邮箱',
    city VARCHAR(50) COMMENT '城市',
    joined_on DATE NOT NULL COMMENT '注册日期'
) COMMENT = '用户表';

CREATE TABLE IF NOT EXISTS products (
    id INT PRIMARY KEY,
    name VARCHAR(50) NOT NULL COMMENT '名称',
    price DECIMAL(10, 2) NOT NULL COMMENT '单价（元）',
    stock INT NOT NULL COMMENT '库存'
) COMMENT = '商品表';

CREATE TABLE IF NOT EXISTS orders (
    id INT PRIMARY KEY,
    user_id INT NOT NULL COMMENT '用户',
    product_id INT NOT NULL COMMENT '商品',
    quantity INT NOT NULL COMMENT '数量',
    status ENUM('paid', 'shipped', 'delivered', 'cancelled') NOT NULL COMMENT '状态',
    ordered_at DATETIME NOT NULL COMMENT '下单时间',
    note VARCHAR(200) COMMENT '备注',
    FOREIGN KEY (user_id) REFERENCES users (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) COMMENT = '订单表';

INSERT IGNORE INTO users VALUES
    (1, '张伟', 'zhang.wei@example.com', '北京', '2024-01-15'),
    (2, '王芳', 'wang.fang@example.com', '上海', '2024-02-03'),
    (3, 'Alice Smith', 'alice@example.com', 'London', '2024-02-20'),
    (4, '李娜', 'li.na@example.com', '广州', '2024-03-08'),
    (5, 'Bob Jones', 'bob@example.com', 'New York', '2024-03-30'),
    (6, '刘洋', 'liu.yang@example.com', '成都', '2024-04-12'),
    (7, '陈静', 'chen.jing@example.com', '北京', '2024-05-01'),
    (8, 'Clara Meyer', 'clara@example.com', 'Berlin', '2024-05-19'),
    (9, '杨磊', 'yang.lei@example.com', '上海', '2024-06-06'),
    (10, 'David Brown', 'david@example.com', 'London', '2024-06-21'),
    (11, '赵敏', 'zhao.min@example.com', '深圳', '2024-07-14'),
    (12, 'Emma Dubois', 'emma@example.com', 'Paris', '2024-08-02');

INSERT IGNORE INTO products VALUES
    (1, '笔记本 Notebook', 18.00, 240),
    (2, '钢笔 Fountain pen', 96.50, 35),
    (3, '台灯 Desk lamp', 219.00, 12),
    (4, '背包 Backpack', 349.00, 0);

INSERT IGNORE INTO orders VALUES
    (1, 1, 1, 5, 'delivered', '2024-06-01 09:12:00', NULL),
    (2, 2, 3, 1, 'delivered', '2024-06-03 14:40:00', '请在工作日送货'),
    (3, 3, 2, 2, 'shipped', '2024-07-10 08:05:00', 'Gift wrapping, please'),
    (4, 4, 4, 1, 'cancelled', '2024-07-11 20:31:00', '缺货'),
    (5, 5, 1, 20, 'paid', '2024-08-15 11:22:00', NULL),
    (6, 1, 2, 1, 'paid', '2024-08-16 17:48:00', NULL),
    (7, 7, 3, 2, 'shipped', '2024-08-17 10:00:00', 'Leave it with the neighbour'),
    (8, 12, 1, 3, 'delivered', '2024-08-20 13:37:00', NULL);

-- It can read this database and do nothing else: no writing, no files, no routines, no other data.
-- It comes from this machine only; for a server elsewhere, or in a container, name the address that
-- the agent comes from. The password belongs to made-up data: for your own, choose another.
CREATE USER IF NOT EXISTS 'myagent_reader'@'localhost' IDENTIFIED BY 'only-reads-demo-data';
CREATE USER IF NOT EXISTS 'myagent_reader'@'127.0.0.1' IDENTIFIED BY 'only-reads-demo-data';
GRANT SELECT, SHOW VIEW ON myagent_demo.* TO 'myagent_reader'@'localhost';
GRANT SELECT, SHOW VIEW ON myagent_demo.* TO 'myagent_reader'@'127.0.0.1';
